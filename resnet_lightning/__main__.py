"""`python -m resnet_lightning` is the same as the command `resnet-lightning`."""

from resnet_lightning.cli import main

if __name__ == "__main__":
    main()
