"""What is published: the model format, the registries and the readers of the champion."""
