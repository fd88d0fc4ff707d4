"""The code file that MLflow copies beside a propensity model and runs to load it ("models from code")."""

import mlflow

from vitrina.registry.pyfunc_propensity import PublishedPropensity

mlflow.models.set_model(PublishedPropensity())
