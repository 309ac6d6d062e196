"""The roles of the parameters, compared with how the reference uses them."""

from __future__ import annotations

import ast
import inspect
import random

from microgpt import reference
from microgpt.config import PRESETS, init, offsets, shapes
from microgpt.parameters import PARAMETERS, role


def test_the_table_has_exactly_the_parameters_of_the_reference() -> None:
    names = {name.rpartition(".")[2] for name in reference.shapes(5, 4, 2, 3)}
    assert set(PARAMETERS) == names
    assert len({parameter.meaning for parameter in PARAMETERS.values()}) == len(PARAMETERS)


def test_the_reference_multiplies_by_every_parameter_that_is_not_a_lookup() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(reference.gpt))) if isinstance(node, ast.Call)]
    matrices = [ast.unparse(call.args[1]) for call in calls if ast.unparse(call.func) == "linear"]
    multiplied = {name for name in PARAMETERS for matrix in matrices if name in matrix}
    assert len(matrices) == 7
    assert {name for name in PARAMETERS if not role(name).is_lookup} == multiplied


def test_zero_init_starts_the_last_projection_of_each_block_at_zero() -> None:
    config = PRESETS["first"].replace(n_layer=2)
    params = init(config, 5, random.Random(1))
    zero = [name for name, part in offsets(shapes(config, 5)).items() if not any(params[part])]
    assert zero == [f"layer{i}.{name}" for i in range(2) for name in ("attn_wo", "mlp_fc2")]


def test_a_parameter_of_an_edited_program_has_no_role() -> None:
    assert role("layer0.gate") == ("", False, "", False)
