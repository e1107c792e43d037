"""Information flow over epochs and layers, and how it is drawn."""

from skib.inspection._displays import (
    InformationFlowDisplay,
    InformationPlaneDisplay,
    RepresentationDisplay,
)
from skib.inspection._flow_result import InformationFlow
from skib.inspection._information_flow import information_flow

__all__ = [
    "InformationFlow",
    "InformationFlowDisplay",
    "InformationPlaneDisplay",
    "RepresentationDisplay",
    "information_flow",
]
