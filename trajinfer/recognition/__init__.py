"""The recognition network of jump processes: statistics of label paths, network, training."""

from trajinfer.recognition.network import RecognitionNetwork, pretrained

__all__ = ["RecognitionNetwork", "pretrained"]
