"""The k-NN of the benchmark as a Python model of MLflow, in MLflow's environment: faiss, as the platform has it."""

import faiss
import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel


class NearestNeighbour(PythonModel):
    def load_context(self, context):
        faiss.omp_set_num_threads(1)
        folder = context.artifacts["knn"]
        self._index = faiss.read_index(f"{folder}/index.faiss")
        self._labels = np.load(f"{folder}/labels.npy")

    def predict(self, context, model_input, params=None):
        _, nearest = self._index.search(np.ascontiguousarray(model_input, np.float32), 1)
        return self._labels[nearest[:, 0]]


mlflow.models.set_model(NearestNeighbour())
