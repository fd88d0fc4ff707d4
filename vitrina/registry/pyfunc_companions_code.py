"""The code file that MLflow copies beside a companions model and runs to load it ("models from code")."""

import mlflow

from vitrina.registry.pyfunc_companions import PublishedCompanions

mlflow.models.set_model(PublishedCompanions())
