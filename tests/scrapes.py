"""What `/metrics` says, read as Prometheus reads it."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

LOCAL = {"Host": "127.0.0.1:8000"}
"""For a gateway in the same process: what asks for a visitor's host was forwarded."""


@dataclass(frozen=True, slots=True)
class Scrape:
    families: dict[str, Metric]

    def get(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels; 0 when there is none."""
        return sum(sample.value for sample in self.find(name) if labels.items() <= sample.labels.items())

    def find(self, name: str) -> Iterator[Sample]:
        for family in self.families.values():
            yield from (sample for sample in family.samples if sample.name == name)

    @property
    def labels(self) -> set[tuple[str, str, str]]:
        """Every family, label and value there is."""
        return {
            (family.name, label, value)
            for family in self.families.values()
            for sample in family.samples
            for label, value in sample.labels.items()
        }


def read_scrape(answer: httpx.Response) -> Scrape:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape({family.name: family for family in text_string_to_metric_families(answer.text)})


def scrape(url: str) -> Scrape:
    return read_scrape(httpx.get(url + "/metrics"))
