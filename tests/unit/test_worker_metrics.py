"""The page of several workers is one that Prometheus reads, and each figure says whose it is."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.platform.worker import Place
from services.platform.worker_metrics import joined


def page(sent: int) -> str:
    registry = CollectorRegistry()
    Counter("sent_total", "Sent, with {braces} and a space.", ["to"], registry=registry).labels('a "b" {c}').inc(sent)
    Gauge("plain", "Without labels.", registry=registry).set(sent)
    Histogram("took_seconds", "Took.", registry=registry, buckets=(1, 2)).observe(1.5)
    return generate_latest(registry).decode()


def test_every_sample_of_every_worker_is_there_once_under_one_head() -> None:
    text = joined({1: page(3), 2: page(4)})
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    found = {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}
    one, two = ("worker", "1"), ("worker", "2")
    to = ("to", 'a "b" {c}')
    assert (found["sent_total", to, one], found["sent_total", to, two]) == (3, 4)
    assert (found["plain", one], found["plain", two]) == (3, 4)
    assert found["took_seconds_bucket", ("le", "2.0"), one] == 1
    assert text.count("# TYPE sent_total counter") == 1


def test_a_metric_that_only_one_has_is_not_lost() -> None:
    registry = CollectorRegistry()
    Gauge("only_here", "Only here.", registry=registry).set(7)
    text = joined({1: page(1), 2: page(1) + generate_latest(registry).decode()})
    assert 'only_here{worker="2"} 7.0' in text


def test_a_place_is_told_as_text() -> None:
    place = Place(2, 4, 7, (5, 6), Path("/run/x:y"))
    assert Place.parsed(place.text()) == place
