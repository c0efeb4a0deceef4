"""Makes the demonstration's tokenizer: byte-level pairs of Qwen2.5's kind, learned on the words of the drawn shapes.

usage: make_tokenizer.py PROBLEMS.jsonl TOKENIZER_TINY_FOLDER   (needs the `tokenizers` package)

Normalizer, pre-tokenizer, decoder, special tokens, chat template and image settings are those of the tokenizer in
TOKENIZER_TINY_FOLDER (tests/fixtures/tokenizer-tiny, itself a prefix of Qwen2.5's own); only vocabulary and merges differ.
"""
import json, os, shutil, sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

PROBLEMS, TINY = sys.argv[1:3]
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer")
BASE = 490

source = json.load(open(f"{TINY}/tokenizer.json", encoding="utf-8"))
learner = Tokenizer.from_file(f"{TINY}/tokenizer.json")
learner.model = models.BPE()
texts = [line[k] for line in map(json.loads, open(PROBLEMS, encoding="utf-8")) for k in ("problem", "teacher")]
texts += ["system\nYou are a helpful assistant.\nuser\nassistant\n"] * 1000
trainer = trainers.BpeTrainer(vocab_size=BASE, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
                              special_tokens=[])
plain = Tokenizer(models.BPE())
plain.pre_tokenizer, plain.normalizer = learner.pre_tokenizer, learner.normalizer
plain.train_from_iterator(texts, trainer)
model = json.loads(plain.to_str())["model"]
vocab = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
base = len(vocab)
source["model"]["vocab"], source["model"]["merges"] = vocab, merges
for index, token in enumerate(source["added_tokens"]):
    token["id"] = base + index
config = json.load(open(f"{TINY}/tokenizer_config.json", encoding="utf-8"))
config["added_tokens_decoder"] = {str(base + i): v for i, v in enumerate(config["added_tokens_decoder"].values())}
os.makedirs(OUT, exist_ok=True)
dump = lambda name, value, **style: json.dump(value, open(f"{OUT}/{name}", "w", encoding="utf-8"), ensure_ascii=False, **style)
dump("tokenizer.json", source, indent=1)
dump("tokenizer_config.json", config, indent=1)
dump("vocab.json", vocab, separators=(",", ":"))
with open(f"{OUT}/merges.txt", "w", encoding="utf-8") as f:
    f.write("#version: 0.2\n" + "".join(f"{m}\n" for m in merges))
for name in ("preprocessor_config.json", "chat_template.json"):
    shutil.copy(f"{TINY}/{name}", f"{OUT}/{name}")
print(base, "base tokens,", base + len(source["added_tokens"]), "in all")
