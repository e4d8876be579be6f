"""What the machine tells of the energy that it takes: NVML of an NVIDIA GPU, RAPL of a CPU; or why it tells nothing."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")
Joules = Callable[[], float]


def find_meter(device: torch.device) -> tuple[Joules | None, str]:
    """A function that gives the energy used so far (J), and in words what it measures, or why there is none."""
    return nvml(device) if device.type == "cuda" else rapl(POWERCAP)


def nvml(device: torch.device) -> tuple[Joules | None, str]:
    """The whole GPU's counter."""
    if not find_spec("pynvml"):
        return None, "energy is not measured: nvidia-ml-py is not installed (pip install nvidia-ml-py)"
    import pynvml

    try:
        pynvml.nvmlInit()
        # By its UUID: CUDA_VISIBLE_DEVICES renumbers what NVML counts.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        return None, f"energy is not measured: NVML does not tell it ({error})"
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, "energy of the whole GPU, by NVML"


def rapl(folder: Path) -> tuple[Joules | None, str]:
    """The counters of all processor packages, which also count what other processes do."""
    packages = sorted(folder.glob("intel-rapl:[0-9]*"))
    packages = [package for package in packages if package.name.count(":") == 1]
    try:
        counters = [Counter(package) for package in packages]
    except OSError as error:
        return None, f"energy is not measured: {error.filename} cannot be read ({error.strerror})"
    if not counters:
        return None, f"energy is not measured: neither NVML nor RAPL ({folder}/intel-rapl:*) is here"
    return lambda: sum(counter.joules() for counter in counters), "energy of the processor packages, by RAPL"


class Counter:
    """A package's counter of microjoules, which starts again at 0 now and then."""

    def __init__(self, package: Path) -> None:
        self.file = package / "energy_uj"
        self.range = int((package / "max_energy_range_uj").read_text(encoding="utf-8"))
        self.last, self.total = self._read(), 0

    def joules(self) -> float:
        """Since this object was made; to be asked more often than the counter starts again (about a minute)."""
        now = self._read()
        self.total += (now - self.last) % self.range
        self.last = now
        return self.total / 1e6

    def _read(self) -> int:
        return int(self.file.read_text(encoding="utf-8"))
