"""The space-time graph: published counts, the formulas read literally, and what each variant can see."""

import pytest
import torch
import torch.nn.functional as F

from graphs import VARIANTS, graph
from retrace.errors import UserError
from retrace.models.registry import build
from retrace.models.rstg.block import GraphToMap, GraphToVector
from retrace.models.rstg.graph import Graph
from retrace.models.rstg.networks import Trunk
from retrace.models.rstg.norms import JointNorm
from retrace.models.rstg.pairs import gather_messages
from retrace.models.rstg.small_i3d import Bottleneck, NonLocal
from retrace.models.rstg.spatial import SpatialStage
from retrace.plan.identity import model_label
from retrace.plan.model import CnnLstm, Rstg, SmallI3d

SYNC = {"classes": 46, "channels": 1, "frames": 10, "side": 64}
SSV1 = {"width": 512, "gather": "dot", "update": "per-scale", "norm": "layer"}


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def rstg(**change) -> Rstg:
    return Rstg(family="rstg", graph=graph(**change))


def seeded(module: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """Give every parameter random values, biases and gains included, in double precision."""
    torch.manual_seed(seed)
    for parameter in module.double().parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.eval()


def rand(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.double, generator=torch.manual_seed(seed))


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (rstg(width=512), 10_528_304),
        (rstg(width=512, positions=True), 10_565_168),
        (rstg(width=512, gather="dot"), 11_052_590),
        (rstg(width=512, gather="dot", positions=True), 11_089_454),
        (rstg(width=512, variant="one-temporal-stage"), 8_427_056),
        (rstg(width=512, variant="space-only"), 6_325_808),
        (rstg(width=512, variant="homogenous"), 6_325_808),
        (rstg(width=512, variant="time-only"), 6_850_606),
        (CnnLstm(family="cnn-lstm", width=512, extra=0), 6_849_582),
        (CnnLstm(family="cnn-lstm", width=512, extra=3), 13_931_054),
        (SmallI3d(family="small-i3d", width=64, non_local=False), 9_111_022),
        (SmallI3d(family="small-i3d", width=64, non_local=True), 9_637_614),
    ],
    ids=lambda value: model_label(value) if not isinstance(value, int) else "",
)
def test_the_networks_for_syncmnist_have_the_parameters_worked_out_for_them(model, count):
    with torch.device("meta"):
        assert parameters(build(model, **SYNC)) == count


@pytest.mark.parametrize(
    ("channels", "scales", "count"),
    [
        (256, 3, 8_144_128),
        (512, 3, 7_881_216),
        (1024, 3, 8_931_328),
        (2048, 3, 9_980_928),
        (1024, 4, 9_718_784),
    ],
)
def test_the_block_has_the_parameters_worked_out_for_each_place(channels, scales, count):
    with torch.device("meta"):
        block = GraphToMap(graph(scales=scales, **SSV1), channels)
        assert (parameters(block.nodes), parameters(block.norm)) == (count, 2 * channels)
        assert parameters(GraphToVector(graph(scales=scales, **SSV1), channels, residual=True)) == (
            count + 2 * channels
        )


def test_the_parts_have_the_parameters_worked_out_for_them():
    with torch.device("meta"):
        assert parameters(Trunk(1, 512, 64)) == 4_724_736
        wide = SpatialStage(graph(width=512, positions=True))
        assert parameters(wide.send) == 824_320
        assert parameters(wide.attend) + wide.bias.numel() == 1_538
        assert parameters(wide.update) == 787_456
        dot = SpatialStage(graph(width=512, gather="dot"))
        assert parameters(dot.send) == 787_456
        assert parameters(dot.attend) + dot.bias.numel() == 525_824
        assert parameters(Graph(graph(width=512)).last_time) == 2_101_248
        assert parameters(NonLocal(512)) == 526_592
        res2 = [Bottleneck(64, 64, 256, 1, 3), Bottleneck(256, 64, 256, 1, 3)]
        assert sum(map(parameters, res2)) == 186_368


def test_shapes_are_those_of_the_authors():
    with torch.device("meta"):
        assert Trunk(1, 512, 64)(torch.empty(2, 10, 1, 64, 64)).shape == (2, 10, 512, 6, 6)
        assert GraphToMap(graph(**SSV1), 1024)(torch.empty(1, 16, 1024, 14, 14)).shape == (
            1,
            16,
            1024,
            14,
            14,
        )
        assert GraphToVector(graph(**SSV1), 2048, residual=True)(torch.empty(1, 16, 2048, 14, 14)).shape == (
            1,
            2048,
        )


@pytest.mark.parametrize("model", [rstg(), CnnLstm(family="cnn-lstm", width=4, extra=3)])
def test_frames_too_small_for_the_convolutions_are_refused(model):
    with pytest.raises(UserError, match="at least 22 x 22"):
        build(model, **(SYNC | {"side": 21}))
    assert build(model, **(SYNC | {"side": 22}))(torch.rand(2, 10, 1, 22, 22)).shape == (2, 46)


@pytest.mark.parametrize("non_local", [False, True])
def test_the_small_i3d_learns_from_frames_of_any_size(non_local):
    model = SmallI3d(family="small-i3d", width=2, non_local=non_local)
    with pytest.raises(UserError, match="at least 8 x 8"):
        build(model, **(SYNC | {"side": 7}))
    for side in (8, 33):
        assert build(model, **(SYNC | {"side": side}))(torch.rand(2, 4, 1, side, side)).shape == (2, 46)


def literal_stage(stage: SpatialStage, x_MNC: torch.Tensor, adjacency: str) -> torch.Tensor:
    """The spatial stage pair by pair, as its formulas are written."""
    nodes = x_MNC.shape[1]
    positions = stage.send.positions_NP
    rows = []
    for x_NC in x_MNC:
        state = x_NC if positions is None else torch.cat([x_NC, positions.to(x_NC)], dim=1)
        edges = stage.attend.edges_NN
        messages, scores = [], []
        for i in range(nodes):
            for j in range(nodes):
                hidden = F.relu(stage.send.first(torch.cat([state[j], state[i]])))
                messages.append(F.relu(stage.send.second(hidden)))
                a = edges[i, j]
                if hasattr(stage.attend, "query"):
                    score = a * (stage.attend.query(x_NC[i]) @ stage.attend.key(x_NC[j]))
                else:
                    total = stage.attend.receiver(x_NC[i]) + stage.attend.source(x_NC[j])
                    score = F.leaky_relu(a * total, 0.2)[0] + a
                scores.append(score if adjacency != "hard" or a else torch.tensor(-torch.inf).double())
        m = torch.stack(messages).view(nodes, nodes, -1)
        m = m if stage.message_norm is None else JointNorm.forward(stage.message_norm, m[None])[0]
        weights = torch.stack(scores).view(nodes, nodes).softmax(dim=1)
        g = F.relu(torch.einsum("ij,ijc->ic", weights, m) + stage.bias)
        updates = getattr(stage.update, "updates", None)
        grids = [0] * 9 + [1] * 4 + [2]
        new = [
            (stage.update if updates is None else updates[grids[i]])(
                x_NC[None, i : i + 1], g[None, i : i + 1]
            )
            for i in range(nodes)
        ]
        rows.append(torch.cat(new, dim=1))
    u_MNC = torch.cat(rows)
    return u_MNC if stage.update_norm is None else stage.update_norm(u_MNC)


@pytest.mark.parametrize(
    ("adjacency", "gather", "positions", "update", "norm"),
    [
        ("soft", "additive", True, "shared", "none"),
        ("hard", "dot", False, "per-scale", "layer"),
        ("full", "dot", True, "shared", "none"),
        ("hard", "additive", False, "per-scale", "layer"),
    ],
)
def test_the_spatial_stage_is_its_formulas_pair_by_pair(adjacency, gather, positions, update, norm):
    shape = graph(width=4, adjacency=adjacency, gather=gather, positions=positions, update=update, norm=norm)
    stage, x_MNC = seeded(SpatialStage(shape)), rand(2, 14, 4)
    ours, theirs = stage(x_MNC), literal_stage(stage, x_MNC, adjacency)
    assert torch.allclose(ours, theirs, atol=1e-9)
    assert ours.std() > 1e-3
    grads = [torch.autograd.grad(u.sin().sum(), list(stage.parameters())) for u in (ours, theirs)]
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-8)


@pytest.mark.parametrize("moments", [False, True])
def test_gathered_messages_have_the_gradients_of_finite_differences(moments):
    def gathered(*given):
        return tuple(part for part in gather_messages(*given, moments=moments) if part is not None)

    given = (rand(3, 4, 5) - 0.4, rand(3, 4, 5, seed=3) - 0.4, rand(5, 5, seed=4) - 0.5, rand(5) - 0.3)
    attention = rand(3, 4, 4, seed=5)
    assert torch.autograd.gradcheck(gathered, [part.requires_grad_() for part in (*given, attention)])


def test_what_is_gathered_does_not_depend_on_how_many_frames_are_worked_on_at_once(monkeypatch):
    stage, x_MNC = seeded(SpatialStage(graph())), rand(7, 14, 8).requires_grad_()
    results = []
    for pairs in (1, 500, 10_000):
        monkeypatch.setattr("retrace.models.rstg.pairs._PAIRS", {"cpu": pairs, "cuda": pairs})
        u_MNC = stage(x_MNC)
        results.append([u_MNC, *torch.autograd.grad(u_MNC.square().sum(), [x_MNC, *stage.parameters()])])
    for other in results[1:]:
        assert all(torch.allclose(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("gather", ["additive", "dot"])
def test_attention_sums_to_one_and_leaves_strangers_what_its_mode_says(gather):
    x_MNC = rand(2, 14, 8)
    for adjacency in ("soft", "hard", "full"):
        attend = seeded(SpatialStage(graph(gather=gather, adjacency=adjacency))).attend
        weights_MNN = attend(x_MNC)
        assert torch.allclose(weights_MNN.sum(dim=2), torch.ones(2, 14, dtype=torch.double))
        strangers = weights_MNN[:, SpatialStage(graph()).attend.edges_NN == 0]
        assert (strangers == 0).all() if adjacency == "hard" else (strangers > 0).all()


def test_full_dot_attention_is_plain_attention_without_scaling():
    attend, x_MNC = seeded(SpatialStage(graph(gather="dot", adjacency="full"))).attend, rand(2, 14, 8)
    values = torch.eye(14, dtype=torch.double).expand(2, -1, -1)
    plain = F.scaled_dot_product_attention(attend.query(x_MNC), attend.key(x_MNC), values, scale=1.0)
    assert torch.allclose(attend(x_MNC), plain)


def test_without_scores_neighbours_share_what_the_authors_code_gives_them():
    attend = SpatialStage(graph()).attend
    for layer in (attend.receiver, attend.source):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    share = (attend(torch.zeros(1, 14, 8))[0] * attend.edges_NN).sum(dim=1)
    assert share[[0, 1, 4, 9, 13]].tolist() == pytest.approx([0.521, 0.671, 0.830, 0.731, 0.972], abs=6e-4)


def states(variant: str, **change) -> torch.nn.Module:
    return seeded(Graph(graph(variant=variant, **change)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_frame_changes_no_state_of_the_frames_before_it(variant):
    module, v_BTNC = states(variant), rand(1, 5, 14, 8)
    later = v_BTNC.clone()
    later[:, 3] += 1
    before, after = module(v_BTNC), module(later)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])
    assert torch.allclose(before[:, 4], after[:, 4]) == (variant == "space-only")


def test_joint_layer_norm_mixes_frames():
    module, v_BTNC = states("all-temporal-stages", norm="layer"), rand(1, 5, 14, 8)
    later = v_BTNC.clone()
    later[:, 3] += rand(14, 8, seed=3)
    assert not torch.allclose(module(v_BTNC)[:, 0], module(later)[:, 0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_time_only_keeps_nodes_apart(variant):
    module, v_BTNC = states(variant), rand(1, 4, 14, 8)
    other = v_BTNC.clone()
    other[:, :, 0] += 1
    apart = torch.allclose(module(v_BTNC)[:, :, 1:], module(other)[:, :, 1:])
    assert apart == (variant == "time-only")


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_space_only_does_not_see_the_order_of_frames(variant):
    module, v_BTNC = states(variant), rand(1, 4, 14, 8)
    answers = [module(v_BTNC[:, order]).mean(dim=1).sum(dim=1) for order in ([0, 1, 2, 3], [2, 0, 3, 1])]
    assert torch.allclose(*answers) == (variant == "space-only")


@pytest.mark.parametrize("positions", [False, True])
def test_a_mirror_image_gives_the_same_vector_but_for_positions(positions):
    module, x_BTCHW = (
        seeded(GraphToVector(graph(positions=positions), 8, residual=False)),
        rand(1, 3, 8, 6, 6),
    )
    same = torch.allclose(module(x_BTCHW), module(x_BTCHW.flip(4)), rtol=1e-9, atol=1e-12)
    assert same != positions


def test_one_iteration_of_the_homogenous_graph_is_attention_over_nodes_and_the_own_past():
    module, v_BTNC = states("homogenous", iterations=1, norm="none"), rand(1, 2, 14, 8)
    stage, (now, past) = module.space, (v_BTNC[0, 1], v_BTNC[0, 0])
    alone = Graph(graph(variant="space-only", iterations=1, norm="none")).double().eval()
    alone.load_state_dict(module.state_dict())
    assert torch.allclose(module(v_BTNC)[:, 0], alone(v_BTNC)[:, 0])  # the first frame has no past
    i = 5
    senders = [*now, past[i]]
    m = torch.stack([stage.send.second(F.relu(stage.send.first(torch.cat([x, now[i]])))) for x in senders])
    edges = torch.cat([stage.attend.edges_NN[i], torch.ones(1)])
    total = stage.attend.receiver(now[i]) + stage.attend.source(torch.stack(senders))[:, 0]
    weights = (F.leaky_relu(edges * total, 0.2) + edges).softmax(dim=0)
    g = F.relu(weights @ F.relu(m) + stage.bias)
    expected = stage.update(now[None, i : i + 1], g[None, None])[0, 0]
    assert torch.allclose(module(v_BTNC)[0, 1, i], expected)


def test_a_new_block_leaves_features_as_they_are_and_only_its_gain_has_a_gradient():
    block = GraphToMap(graph(gather="dot", update="per-scale", norm="layer"), 12)
    x_BTCHW = torch.rand(2, 4, 12, 7, 7)
    assert torch.equal(block(x_BTCHW), x_BTCHW)
    block(x_BTCHW).square().sum().backward()
    moving = {name for name, parameter in block.named_parameters() if parameter.grad.abs().max() > 0}
    assert moving == {"norm.gain"}


def test_mean_and_lstm_is_the_time_only_graph_of_one_node():
    torch.manual_seed(3)
    network = build(CnnLstm(family="cnn-lstm", width=8, extra=0), **SYNC).eval()
    bridge = build(rstg(variant="time-only", scales=1, norm="none"), **SYNC).eval()
    bridge.trunk.load_state_dict(network.trunk.state_dict())
    bridge.graph.nodes.graph.last_time.lstm.load_state_dict(network.lstm.state_dict())
    bridge.classify.load_state_dict(network.classify.state_dict())
    clip = torch.rand(2, 1, 1, 64, 64)  # of one frame, for which last and mean are the same
    assert torch.allclose(network(clip), bridge(clip), atol=1e-6)


def test_networks_are_initialised_as_in_tensorflow():
    torch.manual_seed(0)
    network = build(rstg(width=32), **SYNC)
    lstm = network.graph.nodes.graph.last_time.lstm
    bound = (6 / (32 + 32)) ** 0.5  # Glorot's for one gate
    for gate in lstm.weight_hh_l0.chunk(4):
        assert gate.abs().max().item() == pytest.approx(bound, rel=0.02)
    biases = [parameter for name, parameter in network.named_parameters() if "bias" in name]
    assert biases and not any(bias.any() for bias in biases)


def test_labels_tell_the_variants_apart():
    models = [
        *(rstg(variant=variant) for variant in VARIANTS),
        rstg(positions=True),
        rstg(gather="dot"),
        CnnLstm(family="cnn-lstm", width=8, extra=0),
        CnnLstm(family="cnn-lstm", width=8, extra=3),
        SmallI3d(family="small-i3d", width=8, non_local=False),
        SmallI3d(family="small-i3d", width=8, non_local=True),
    ]
    assert len({model_label(model) for model in models}) == len(models)
