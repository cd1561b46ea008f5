"""`framework.training_env()` of the older toolkit. Imported by scripts only."""

from sagemaker_training.environment import Environment as TrainingEnv

from sagemaker_containers import training_env

__all__ = ["TrainingEnv", "training_env"]
