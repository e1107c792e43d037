"""Information flow and clustering over epochs and layers, and how they are drawn."""

from skib.inspection._clustering_display import ClusteringDisplay
from skib.inspection._clustering_flow import clustering_flow
from skib.inspection._clustering_table import ClusteringFlow
from skib.inspection._combined import CombinedFlow, combine_flows
from skib.inspection._flow import InformationFlow
from skib.inspection._flow_display import InformationFlowDisplay
from skib.inspection._histogram_display import (
    ActivationHistogramDisplay,
    PairwiseDistanceDisplay,
)
from skib.inspection._information_flow import information_flow
from skib.inspection._plane_display import InformationPlaneDisplay
from skib.inspection._representation_display import RepresentationDisplay

__all__ = [
    "ActivationHistogramDisplay",
    "ClusteringDisplay",
    "ClusteringFlow",
    "CombinedFlow",
    "InformationFlow",
    "InformationFlowDisplay",
    "InformationPlaneDisplay",
    "PairwiseDistanceDisplay",
    "RepresentationDisplay",
    "clustering_flow",
    "combine_flows",
    "information_flow",
]
