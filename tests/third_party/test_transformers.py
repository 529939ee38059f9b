"""Unmodified models of the transformers library, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.third_party.support import check_life_of_a_conversion

transformers = pytest.importorskip("transformers")

VOCABULARY = 60


def _ids(rows: int = 4, length: int = 10) -> Tensor:
    return torch.randint(3, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


def _causal(model: torch.nn.Module) -> Tensor:
    ids = _ids()
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    return model(input_ids=ids, attention_mask=mask, labels=ids).loss


def _gpt2(attention: str) -> Any:
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2,
        attn_implementation=attention,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def _bert(attention: str) -> Any:
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, attn_implementation=attention,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def _classification(model: torch.nn.Module) -> Tensor:
    ids = _ids()
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return model(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 1, 0])).loss


def _t5(attention: str) -> Any:
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0,
        pad_token_id=0, attn_implementation=attention,
    )  # fmt: skip
    return transformers.T5ForConditionalGeneration(config)


def _marian(attention: str) -> Any:
    config = transformers.MarianConfig(
        vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=32, pad_token_id=0,
        eos_token_id=2, decoder_start_token_id=0, scale_embedding=True, attn_implementation=attention,
    )  # fmt: skip
    return transformers.MarianMTModel(config)


def _translation(model: torch.nn.Module) -> Tensor:
    source, target = _ids(), _ids(4, 8)
    mask = torch.ones_like(source)
    mask[2, 6:] = 0
    return model(input_ids=source, attention_mask=mask, labels=target).loss


def _llama(attention: str) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=64, attn_implementation=attention,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def _mixtral(attention: str) -> Any:
    config = transformers.MixtralConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, num_local_experts=4, max_position_embeddings=64, output_router_logits=True,
        attn_implementation=attention,
    )  # fmt: skip
    return transformers.MixtralForCausalLM(config)


def _vit(attention: str) -> Any:
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=4,
        attn_implementation=attention,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


def _deit(attention: str) -> Any:
    config = transformers.DeiTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=4,
        attn_implementation=attention,
    )  # fmt: skip
    return transformers.DeiTForImageClassification(config)


IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def _images(model: torch.nn.Module) -> Tensor:
    return model(pixel_values=IMAGES, labels=torch.tensor([0, 1, 1, 0])).loss


MODELS: dict[str, tuple[Callable[[str], Any], Callable[[torch.nn.Module], Tensor]]] = {
    "gpt2": (_gpt2, _causal),
    "bert": (_bert, _classification),
    "t5": (_t5, _translation),
    "marian": (_marian, _translation),
    "llama": (_llama, _causal),
    "mixtral": (_mixtral, _causal),
    "vit": (_vit, _images),
    "deit": (_deit, _images),
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", MODELS)
def test_the_life_of_a_conversion(name: str, attention: str) -> None:
    make, loss = MODELS[name]
    torch.manual_seed(0)
    check_life_of_a_conversion(make(attention), loss)
