"""What grants are for and what they rest on: words that everybody understands the same way. Pure.

A word may be added here and is never taken away: a grant that names an unknown one is void, so a
node that is behind lets less flow, never more.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from bus.errors import InvalidGrant, nearest


class Purpose(NamedTuple):
    """What data may be used for, in German and English; both go on after "für" and "for"."""

    de: str
    en: str


PURPOSES: Mapping[str, Purpose] = MappingProxyType(
    {
        "broadcasting-fee": Purpose("den Rundfunkbeitrag", "the broadcasting fee"),
        "building": Purpose("Bauaufsicht und Bauleitplanung", "building control and planning"),
        "child-care": Purpose("Kindertagesbetreuung", "child day care"),
        "civil-status": Purpose("Personenstandswesen", "civil status registration"),
        "elections": Purpose("Wahlen und Abstimmungen", "elections and referendums"),
        "emergency": Purpose("Brandschutz und Rettungsdienst", "fire and rescue services"),
        "environment": Purpose("Umweltschutz", "environmental protection"),
        "health": Purpose("den öffentlichen Gesundheitsdienst", "the public health service"),
        "identity-documents": Purpose("Pass- und Ausweiswesen", "passports and identity cards"),
        "pensions": Purpose("die gesetzliche Rentenversicherung", "statutory pension insurance"),
        "public-order": Purpose("Gefahrenabwehr", "public safety and order"),
        "register-maintenance": Purpose("die Pflege eines Registers", "keeping a register correct"),
        "resident-registration": Purpose("das Meldewesen", "the registration of residents"),
        "schools": Purpose("Schulpflicht und Schulplanung", "compulsory schooling and schools"),
        "social-benefits": Purpose("Sozialleistungen", "social benefits"),
        "statistics": Purpose("amtliche Statistik", "official statistics"),
        "tax": Purpose("Steuern und Abgaben", "taxes and dues"),
        "traffic": Purpose("Straßenverkehr und Verkehrsplanung", "road traffic and its planning"),
        "utilities": Purpose("Wasser, Abwasser und Energie", "water, sewage and energy"),
        "waste": Purpose("Abfallentsorgung", "waste disposal"),
    }
)
"""The purposes of public administration that a grant may have, by id."""


class Statute(NamedTuple):
    """A law or regulation: its title, and how its sections are counted (``§`` or ``Art.``)."""

    title: str
    unit: str


STATUTES: Mapping[str, Statute] = MappingProxyType(
    {
        "1. BMeldDÜV": Statute("Erste Bundesmeldedatenübermittlungsverordnung", "§"),
        "2. BMeldDÜV": Statute("Zweite Bundesmeldedatenübermittlungsverordnung", "§"),
        "AO": Statute("Abgabenordnung", "§"),
        "AZRG": Statute("Gesetz über das Ausländerzentralregister", "§"),
        "BDSG": Statute("Bundesdatenschutzgesetz", "§"),
        "BImSchG": Statute("Bundes-Immissionsschutzgesetz", "§"),
        "BMG": Statute("Bundesmeldegesetz", "§"),
        "BStatG": Statute("Bundesstatistikgesetz", "§"),
        "BWahlG": Statute("Bundeswahlgesetz", "§"),
        "BauGB": Statute("Baugesetzbuch", "§"),
        "BayBO": Statute("Bayerische Bauordnung", "Art."),
        "BayDSG": Statute("Bayerisches Datenschutzgesetz", "Art."),
        "BayEUG": Statute("Bayerisches Gesetz über das Erziehungs- und Unterrichtswesen", "Art."),
        "BayKiBiG": Statute("Bayerisches Kinderbildungs- und -betreuungsgesetz", "Art."),
        "BayRDG": Statute("Bayerisches Rettungsdienstgesetz", "Art."),
        "BayStatG": Statute("Bayerisches Statistikgesetz", "Art."),
        "DSGVO": Statute("Datenschutz-Grundverordnung", "Art."),
        "EGovG": Statute("E-Government-Gesetz", "§"),
        "GrStG": Statute("Grundsteuergesetz", "§"),
        "IDNrG": Statute("Identifikationsnummerngesetz", "§"),
        "IfSG": Statute("Infektionsschutzgesetz", "§"),
        "KrWG": Statute("Kreislaufwirtschaftsgesetz", "§"),
        "OZG": Statute("Onlinezugangsgesetz", "§"),
        "PAuswG": Statute("Personalausweisgesetz", "§"),
        "PStG": Statute("Personenstandsgesetz", "§"),
        "PaßG": Statute("Paßgesetz", "§"),
        "SGB VI": Statute("Sozialgesetzbuch, Sechstes Buch", "§"),
        "SGB VIII": Statute("Sozialgesetzbuch, Achtes Buch", "§"),
        "SGB X": Statute("Sozialgesetzbuch, Zehntes Buch", "§"),
        "SGB XII": Statute("Sozialgesetzbuch, Zwölftes Buch", "§"),
        "StVG": Statute("Straßenverkehrsgesetz", "§"),
        "UIG": Statute("Umweltinformationsgesetz", "§"),
        "WHG": Statute("Wasserhaushaltsgesetz", "§"),
        "ZensG 2022": Statute("Zensusgesetz 2022", "§"),
    }
)
"""The statutes that a norm may be of, by their official abbreviations."""

_NUMBER = r"[1-9][0-9]{0,3}[a-z]?"
_NORM = re.compile(
    rf"(?P<unit>§|Art\.) {_NUMBER}"
    rf"(?: Abs\. {_NUMBER})?(?: Satz [1-9][0-9]?)?(?: Nr\. {_NUMBER})?(?: Buchst\. [a-z])?"
    r" (?P<statute>(?:[0-9]\. )?[A-ZÄÖÜ].*)"
)


def purpose(given: str, where: str) -> str:
    """Return the id of a purpose.

    Raises:
        InvalidGrant: there is no such purpose.
    """
    if given not in PURPOSES:
        raise InvalidGrant(
            f'there is no purpose "{given[:60]}"', where=where, remedy=nearest(given, [*PURPOSES])
        )
    return given


def norm(given: str, where: str) -> str:
    """Return a norm such as ``§ 34 Abs. 1 BMG`` or ``Art. 6 Abs. 1 Buchst. e DSGVO``.

    Whether the statute has such a section, and whether it allows the grant, is for its owner to
    judge.

    Raises:
        InvalidGrant: it is not written like one, or of a statute that is not known.
    """
    found = _NORM.fullmatch(given)
    if found is None:
        raise InvalidGrant(
            f'"{given[:60]}" is not written as a norm',
            where=where,
            remedy="name section and statute, as in § 34 Abs. 1 BMG",
        )
    name, unit = found["statute"], found["unit"]
    statute = STATUTES.get(name)
    if statute is None:
        raise InvalidGrant(
            f'the statute "{name[:60]}" is not known',
            where=where,
            remedy=nearest(name, [*STATUTES]),
        )
    if statute.unit != unit:
        raise InvalidGrant(
            f"{name} is not divided into {unit}", where=where, remedy=f"write {statute.unit}"
        )
    return given
