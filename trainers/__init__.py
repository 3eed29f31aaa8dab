"""What happens in one training: settings in, a stream of `Progress` out."""
