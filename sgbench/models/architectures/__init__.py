"""Architectures as data, one kind of network a file: sizes, costs in closed form, what can be done with it. No torch.

`plan` counts multiply-accumulates from these records alone; `networks/build.py` turns them into networks.
"""

from typing import Annotated

from pydantic import Field

from sgbench.models.architectures.base import Architecture as Architecture
from sgbench.models.architectures.base import Routes as Routes
from sgbench.models.architectures.dit import DiTArchitecture as DiTArchitecture
from sgbench.models.architectures.maskdit import MaskDiTArchitecture as MaskDiTArchitecture
from sgbench.models.architectures.mdtv2 import MDTv2Architecture as MDTv2Architecture
from sgbench.models.architectures.microdit import MicroDiTArchitecture as MicroDiTArchitecture
from sgbench.models.architectures.prx import PRXArchitecture as PRXArchitecture
from sgbench.models.architectures.sprint import SprintArchitecture as SprintArchitecture
from sgbench.models.architectures.textdit import TextDiTArchitecture as TextDiTArchitecture

# What the project trains itself.
TrainedArchitecture = Annotated[
    DiTArchitecture | MaskDiTArchitecture | TextDiTArchitecture, Field(discriminator="family")
]
