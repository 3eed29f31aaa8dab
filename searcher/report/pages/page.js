"use strict";
(() => {
  const { plots, template, theme } = JSON.parse(document.getElementById("plots").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true };
  const onPhone = matchMedia("(pointer: coarse)").matches;
  const drawn = new Set();
  let colours = {};

  const readColours = () => {
    const style = getComputedStyle(document.documentElement);
    colours = Object.fromEntries(theme.map((name) => [`$${name}`, style.getPropertyValue(`--${name}`).trim()]));
  };

  // A text that names a colour of the theme becomes that colour, however deep it lies.
  const coloured = (part) => {
    if (typeof part === "string") return colours[part] ?? part;
    if (Array.isArray(part)) return part.map(coloured);
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, coloured(value)]));
  };

  const draw = (place) => {
    const { data, layout } = plots[place.dataset.plot];
    const own = { ...coloured(layout), template: coloured(template) };
    if (onPhone) own.dragmode = false; // a finger on a plot scrolls the page
    Plotly.react(place, coloured(data), own, config);
    drawn.add(place);
  };

  const isFoldedAway = (place) => place.closest("details:not([open])") !== null;
  const all = () => [...document.querySelectorAll("[data-plot]")];
  const left = () => all().filter((place) => !drawn.has(place) && !isFoldedAway(place));

  // One plot at a time, so that the page can be read while they are drawn.
  const drawNext = () => {
    const place = left()[0];
    if (!place) {
      document.documentElement.dataset.drawn = "all";
      return;
    }
    draw(place);
    setTimeout(drawNext);
  };

  readColours();
  setTimeout(drawNext);
  dark.addEventListener("change", () => {
    readColours();
    drawn.forEach(draw);
  });
  for (const fold of document.querySelectorAll("details")) {
    fold.addEventListener("toggle", () => fold.open && left().forEach(draw));
  }

  // On paper every fold is open, the theme is light, and plots are as wide as their column there.
  let opened = [];
  const fit = (place) => Plotly.relayout(place, { width: place.clientWidth, height: place.clientHeight });
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.fold:not([open])")];
    opened.forEach((fold) => (fold.open = true));
    document.documentElement.classList.add("printing");
    readColours();
    all().forEach((place) => {
      draw(place);
      fit(place);
    });
  });
  addEventListener("afterprint", () => {
    opened.forEach((fold) => (fold.open = false));
    document.documentElement.classList.remove("printing");
    readColours();
    drawn.forEach((place) => {
      draw(place);
      Plotly.relayout(place, { width: null, height: null, autosize: true });
    });
  });

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.closest(".listing").querySelector("code");
      let said = "Copied";
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code); // no access to the clipboard: one key is left to press
        said = "Selected";
      }
      button.textContent = said;
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const mark = (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      const link = links.get(target.id);
      link.setAttribute("aria-current", "true");
      const list = link.closest("ol"); // on a phone it scrolls sideways
      list.scrollLeft = link.offsetLeft - list.offsetLeft - 24;
    }
  };
  const watcher = new IntersectionObserver(mark, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));
})();
