"""The pieces of work in transformers, as its users write them: padded on the left, `sdpa` attention, a picture for each response."""

import time

from side import arguments, load, peak_bytes, picture, problems, processor, say, told, versions

OPTIONS = arguments(["decode", "prefill", "log-probs", "divergence", "update", "start"])

import torch  # noqa: E402

torch.set_num_threads(OPTIONS.threads)


def inputs(processor, count):
    """The first problem `count` times."""
    question, path = problems(OPTIONS.folder)[0]
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    batch = processor(text=[text] * count, images=[picture(path)] * count, return_tensors="pt", padding=True)
    return {name: value.to(OPTIONS.device) for name, value in batch.items() if torch.is_tensor(value)}


class Work:
    def __init__(self):
        self.model = load(OPTIONS)
        read = processor(OPTIONS.folder)
        self.pad = read.tokenizer.pad_token_id
        self.prompt = inputs(read, OPTIONS.responses)
        self.prompt_tokens = self.prompt["input_ids"].shape[1]
        self.whole = self.masked = self.optimizer = self.old = None
        if OPTIONS.work in ("log-probs", "divergence", "update"):
            self.whole = self.with_responses()
        if OPTIONS.work == "divergence":
            self.masked = dict(self.whole, pixel_values=self.whole["pixel_values"] * 0 - 1.7)
        if OPTIONS.work == "update":
            self.old = self.log_probs(self.whole)[0]
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, weight_decay=0.01, fused=True)

    def with_responses(self):
        """Prompts followed by responses of full length, their tokens drawn from a seed."""
        ids, rows = self.prompt["input_ids"], OPTIONS.responses
        shape = (rows, OPTIONS.new_tokens)
        self.responses = torch.randint(0, 8000, shape, generator=torch.Generator().manual_seed(7)).to(ids.device)
        whole = torch.cat([ids, self.responses], 1)
        kinds = self.prompt["mm_token_type_ids"]
        kinds = torch.cat([kinds, torch.zeros(shape, dtype=kinds.dtype, device=kinds.device)], 1)
        return dict(self.prompt, input_ids=whole, attention_mask=torch.ones_like(whole), mm_token_type_ids=kinds)

    def generate(self, tokens):
        with torch.no_grad():
            written = self.model.generate(
                **self.prompt,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=tokens,
                min_new_tokens=None,
                eos_token_id=None,
                pad_token_id=self.pad,
                use_cache=True,
            )
        if written.shape[1] != self.prompt_tokens + tokens:
            raise SystemExit(f"{written.shape[1] - self.prompt_tokens} tokens were written instead of {tokens}")

    def distribution(self, batch):
        """Log-probabilities of the whole vocabulary where response tokens are predicted."""
        logits = self.model(**batch, logits_to_keep=OPTIONS.new_tokens + 1, use_cache=False).logits
        return logits[:, :-1].float().log_softmax(-1)

    @torch.no_grad()
    def log_probs(self, batch):
        scores = self.distribution(batch)
        return scores.gather(-1, self.responses[..., None]).squeeze(-1), scores

    @torch.no_grad()
    def divergence(self):
        clean, masked = self.log_probs(self.whole)[1], self.log_probs(self.masked)[1]
        return (clean.exp() * (clean - masked)).sum(-1)

    def update(self):
        self.optimizer.zero_grad(set_to_none=True)
        scores = self.distribution(self.whole)
        ratio = (scores.gather(-1, self.responses[..., None]).squeeze(-1) - self.old).exp()
        worth = torch.linspace(-1, 1, OPTIONS.responses, device=ratio.device)[:, None]
        torch.maximum(-worth * ratio, -worth * ratio.clamp(0.8, 1.2)).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def run(self):
        clock = time.perf_counter()
        if OPTIONS.work == "decode":
            self.generate(OPTIONS.new_tokens)
        elif OPTIONS.work == "prefill":
            self.generate(1)
        elif OPTIONS.work == "log-probs":
            self.log_probs(self.whole)
        elif OPTIONS.work == "divergence":
            self.divergence()
        else:
            self.update()
        if OPTIONS.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - clock


def start():
    """One token about a picture, in a process that does nothing else."""
    model = load(OPTIONS)
    read = processor(OPTIONS.folder)
    with torch.no_grad():
        written = model.generate(**inputs(read, 1), do_sample=True, max_new_tokens=1, pad_token_id=read.tokenizer.pad_token_id)
    print(read.tokenizer.decode(written[0, -1:]))


def main():
    if OPTIONS.work == "start":
        start()
        return
    work = Work()
    work.run()
    parameters = sum(parameter.numel() for parameter in work.model.parameters())
    say(ready={
        "parameters": parameters,
        "prompt_tokens": work.prompt_tokens,
        "versions": versions("transformers", "torch"),
    })
    while told():
        say(seconds=work.run())
    peak = torch.cuda.max_memory_allocated() if OPTIONS.device.startswith("cuda") else peak_bytes()
    say(peak_bytes=peak)


main()
