"""Information flow over epochs and layers, and how it is drawn."""

from skib.inspection._flow import InformationFlow
from skib.inspection._flow_display import InformationFlowDisplay
from skib.inspection._information_flow import information_flow
from skib.inspection._plane_display import InformationPlaneDisplay
from skib.inspection._representation_display import RepresentationDisplay

__all__ = [
    "InformationFlow",
    "InformationFlowDisplay",
    "InformationPlaneDisplay",
    "RepresentationDisplay",
    "information_flow",
]
