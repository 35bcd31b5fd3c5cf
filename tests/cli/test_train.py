from trfjax.cli import train
from trfjax.cli.commands import Train


def test_modalities_that_are_no_colours_reach_the_network_as_they_are(tmp_path):
    config = Train(
        data="brains:alder/T1+T2", labels="WT", count=2, size=(32, 32), width=2,
        test="brains:birch/T1+T2", out=str(tmp_path / "run"),
    )  # fmt: skip
    training = train._training(config)
    assert training.card.mean == (0.0, 0.0) and training.card.std == (1.0, 1.0)
    assert training.card.config["in_channels"] == 2
    assert training.data.unit == "patient" and len(training.data) == 8
