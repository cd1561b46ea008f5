"""The k-NN of the benchmark as a custom runtime of MLServer, in MLServer's environment: faiss, as in the platform."""

import faiss
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri


class NearestNeighbour(MLModel):
    async def load(self):
        folder = await get_model_uri(self.settings)
        faiss.omp_set_num_threads(1)
        self._index = faiss.read_index(f"{folder}/index.faiss")
        self._labels = np.load(f"{folder}/labels.npy")
        return True

    async def predict(self, payload):
        rows = self.decode_request(payload, default_codec=NumpyRequestCodec)
        _, nearest = self._index.search(rows, 1)
        found = NumpyCodec.encode_output("predict", self._labels[nearest[:, 0]])
        return InferenceResponse(model_name=self.name, outputs=[found])
