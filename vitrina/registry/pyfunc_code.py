"""The code file that MLflow copies beside the model and runs to load it ("models from code")."""

import mlflow

from vitrina.registry.pyfunc_model import PublishedModel

mlflow.models.set_model(PublishedModel())
