"""What both peers share: the lines they speak with `side-by-side`, the arguments, model, prompt and pictures."""

import argparse
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Whatever a library prints goes to standard error; answers alone go to standard output.
ANSWERS = os.fdopen(os.dup(sys.stdout.fileno()), "w")
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def arguments(works):
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=works)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dims", default="bench")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def say(**values):
    print(json.dumps(values), file=ANSWERS, flush=True)


def peak_bytes():
    """The process's largest resident memory, which Linux keeps itself."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def told():
    """Whether another repetition is wanted; waits for the word."""
    line = sys.stdin.readline()
    if line.strip() not in ("", "go"):
        raise SystemExit(f"a worker understands the line `go` alone, not {line!r}")
    return line.strip() == "go"


def problems(folder):
    """The question and the path of the picture of each problem."""
    with open(f"{folder}/problems.jsonl") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["problem"].removeprefix("<image>"), f"{folder}/{row['images'][0]}") for row in rows]


def picture(path):
    from PIL import Image

    return Image.open(path).convert("RGB")


def load(options):
    """The model, from its weights, or with those of a seed where the folder has none."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    if options.dims == "bench":
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            options.folder, dtype=dtype, attn_implementation="sdpa"
        ).to(options.device)
    else:
        config = Qwen2_5_VLConfig.from_pretrained(options.folder)
        torch.manual_seed(1)
        with torch.device(options.device):
            model = Qwen2_5_VLForConditionalGeneration._from_config(
                config, dtype=dtype, attn_implementation="sdpa"
            )
    # Responses have their full length.
    model.generation_config.eos_token_id = None
    return model.eval()


def processor(folder):
    from transformers import Qwen2_5_VLProcessor

    processor = Qwen2_5_VLProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    return processor


def versions(*names):
    from importlib.metadata import version

    return {name: version(name) for name in names}
