"""The clusterers, one file per paper."""

from sklearn_deepcluster.cluster._aec import AEC
from sklearn_deepcluster.cluster._dbc import DBC
from sklearn_deepcluster.cluster._dcec import DCEC
from sklearn_deepcluster.cluster._dcn import DCN
from sklearn_deepcluster.cluster._ddc import DDC
from sklearn_deepcluster.cluster._dec import DEC
from sklearn_deepcluster.cluster._dekm import DEKM
from sklearn_deepcluster.cluster._depict import DEPICT
from sklearn_deepcluster.cluster._dkm import DKM
from sklearn_deepcluster.cluster._dtkc import DTKC, RDTKC
from sklearn_deepcluster.cluster._fuzzy import FuzzyCMeans
from sklearn_deepcluster.cluster._graph import GraphAgglomerative
from sklearn_deepcluster.cluster._idec import IDEC
from sklearn_deepcluster.cluster._imsat import IMSAT
from sklearn_deepcluster.cluster._jule import JULE
from sklearn_deepcluster.cluster._kmeansnet import KMeansNet
from sklearn_deepcluster.cluster._knet import KNet
from sklearn_deepcluster.cluster._landmarks import LandmarkSpectralClustering
from sklearn_deepcluster.cluster._rddc import RDDC
from sklearn_deepcluster.cluster._spectralnet import SpectralNet
from sklearn_deepcluster.cluster._updates import Stiefel
from sklearn_deepcluster.cluster._vade import VaDE

__all__ = [
    "AEC",
    "DBC",
    "DCEC",
    "DCN",
    "DDC",
    "DEC",
    "DEKM",
    "DEPICT",
    "DKM",
    "DTKC",
    "IDEC",
    "IMSAT",
    "JULE",
    "RDDC",
    "RDTKC",
    "FuzzyCMeans",
    "GraphAgglomerative",
    "KMeansNet",
    "KNet",
    "LandmarkSpectralClustering",
    "SpectralNet",
    "Stiefel",
    "VaDE",
]
