"""Describes a dataset as Croissant 1.1 JSON-LD, with terms of its RAI extension and of PROV-O filled from the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

import msgspec

from ...projections.mephisto_db.queries import JsonValue
from .codebook import Codebook, CodebookEntry
from .columns import Column, ColumnKind
from .facts import DatasetFacts

_FILE, _RECORDS = "train", "units"
_TYPES = {
    ColumnKind.INTEGER: "sc:Integer",
    ColumnKind.NUMBER: "sc:Float",
    ColumnKind.BOOLEAN: "sc:Boolean",
    ColumnKind.TEXT: "sc:Text",
    ColumnKind.TIME: "sc:DateTime",
    ColumnKind.INTEGERS: "sc:Integer",
    ColumnKind.TEXTS: "sc:Text",
    ColumnKind.JSON: "sc:Text",
}
_LISTS = frozenset({ColumnKind.INTEGERS, ColumnKind.TEXTS})
#: The context that the specification recommends, and the vocabulary of provenance.
_CONTEXT: dict[str, JsonValue] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


class DataFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file with the rows."""

    #: Below the folder of the dataset.
    path: str
    sha256: str
    size: int


def croissant(columns: tuple[Column, ...], codebook: Codebook, facts: DatasetFacts, file: DataFile) -> JsonValue:
    """Return the description of a dataset."""
    fields: list[JsonValue] = [_field(column, entry) for column, entry in zip(columns, codebook.entries, strict=True)]
    described: dict[str, JsonValue] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": facts.task_name,
        "description": f"{codebook.rows:,} units of run {facts.task_run} of the crowdsourcing task {facts.task_name}, "
        f"by {codebook.workers:,} workers.",
        "license": facts.license,
        "url": facts.url,
        "creator": None if facts.creator is None else {"@type": "sc:Organization", "name": facts.creator},
        "datePublished": _day(facts.exported_at),
        "keywords": ["crowdsourcing", "mephisto-es"],
        "version": f"{facts.seq}.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": _FILE,
                "name": _FILE,
                "contentUrl": file.path,
                "contentSize": f"{file.size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": file.sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": _RECORDS,
                "name": _RECORDS,
                "description": "One record for each unit.",
                "key": {"@id": _id("unit_id")},
                "field": fields,
            }
        ],
        **dict(_responsible_ai(codebook, facts)),
        **_provenance(codebook, facts),
    }
    return {key: value for key, value in described.items() if value is not None}


def _field(column: Column, entry: CodebookEntry) -> JsonValue:
    field: dict[str, JsonValue] = {
        "@type": "cr:Field",
        "@id": _id(column.name),
        "name": column.name,
        "description": entry.description or column.name,
        "dataType": _TYPES[column.kind],
        "source": {"fileObject": {"@id": _FILE}, "extract": {"column": column.name}},
    }
    if column.kind in _LISTS:
        field |= {"isArray": True, "arrayShape": "-1"}
    return field


def _id(column: str) -> str:
    """Return the identifier of a field; what a stranger named is not part of an address as it is."""
    return f"{_RECORDS}/{quote(column, safe='.')}"


def _responsible_ai(codebook: Codebook, facts: DatasetFacts) -> Iterator[tuple[str, JsonValue]]:
    yield (
        "rai:dataCollection",
        f"Workers of the provider {facts.provider} did units of the task on its web pages, one item at a time. Who was "
        "admitted, what they submitted and what reviewers decided is in an append-only log.",
    )
    yield "rai:dataCollectionType", ["Manual Human Curator"]
    if codebook.first_submission is not None and codebook.last_submission is not None:
        yield "rai:dataCollectionTimeFrame", [_day(codebook.first_submission), _day(codebook.last_submission)]
    yield "rai:dataAnnotationPlatform", [f"mephisto-es {facts.version}, provider {facts.provider}"]
    if facts.instructions:
        yield "rai:dataAnnotationProtocol", [facts.instructions]
    if codebook.answers_per_item:
        counts = [*codebook.answers_per_item]
        yield "rai:annotationsPerItem", str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if facts.agreement:
        yield "rai:dataAnnotationAnalysis", [*facts.agreement]
    if facts.machine_tools:
        yield "rai:machineAnnotationTools", [*facts.machine_tools]
    yield (
        "rai:personalSensitiveInformation",
        [
            "Workers are numbered; names, notes, positions in the log and times of day were removed. Texts are as "
            "workers wrote them."
            if facts.is_anonymous
            else "Columns about workers, their texts, and the times of their work may identify persons."
        ],
    )
    yield (
        "rai:dataCollectionMissingData",
        "Units without a submission have no outputs; what was erased at a worker's request is missing.",
    )


def _provenance(codebook: Codebook, facts: DatasetFacts) -> dict[str, JsonValue]:
    activity: dict[str, JsonValue] = {
        "@type": "prov:Activity",
        "prov:label": f"run {facts.task_run} of {facts.task_name}",
        "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "prov:label": f"mephisto-es {facts.version}"},
    }
    if codebook.first_submission is not None and codebook.last_submission is not None:
        activity["prov:startedAtTime"] = codebook.first_submission.isoformat()
        activity["prov:endedAtTime"] = codebook.last_submission.isoformat()
    return {
        "prov:wasGeneratedBy": activity,
        "prov:wasDerivedFrom": {
            "@type": "prov:Entity",
            "prov:label": f"log of events up to position {facts.seq}, chain {facts.chain}",
        },
    }


def _day(time: datetime) -> str:
    return time.date().isoformat()
