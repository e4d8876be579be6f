"""The fastest arithmetic of the device at hand that trains to the same error."""

import torch


def fastest_safe_precision(accelerator: str) -> str:
    """Lightning's name of the precision to use: bf16-mixed where the hardware multiplies bfloat16, else 32-true."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true"
    # Without these instructions bfloat16 is emulated, and slow. A torch that cannot tell gets float32.
    instructions = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    has_bfloat16 = instructions.get("avx512_bf16") or instructions.get("amx_bf16")
    return "bf16-mixed" if accelerator in ("auto", "cpu") and has_bfloat16 else "32-true"


def device_name(device: torch.device) -> str:
    """What a result says that it was measured on: the GPU's name, or CPU and the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type.upper()}, {threads} thread{'s' * (threads > 1)}"
