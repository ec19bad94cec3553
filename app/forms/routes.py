"""A form's routes: what each asks of a lead must be something that the form can answer."""

from collections.abc import Mapping

from app.forms.findings import suggest
from app.forms.layers import Layers
from app.forms.model import Field, FieldType, Route
from app.forms.shape import RouteShape


def build_routes(layers: Layers, *, fields: tuple[Field, ...]) -> tuple[Route, ...]:
    """The routes in their order. Whether their receivers exist is checked where all files are known."""
    by_name = {field.name: field for field in fields}
    shapes = layers.shape.routes
    for number, shape in enumerate(shapes, start=1):
        place = f"routes[{number}]"
        if shape.receiver is None:
            layers.add("is missing; a route names its receiver", place, "receiver")
        if not shape.zip and not shape.when:
            layers.add(_explain_empty(shape, last=number == len(shapes)), place)
        if shape.zip and "zipCode" not in by_name:
            layers.add(
                'needs the field zipCode on the form; add [[…fields]] with name = "zipCode"', place, "zip"
            )
        for name, value in (shape.when or {}).items():
            _check_condition(layers, by_name, place=place, name=name, value=value)
    return tuple(
        Route(receiver=shape.receiver or "", zip=tuple(shape.zip or ()), when=shape.when or {})
        for shape in shapes
    )


def _explain_empty(shape: RouteShape, *, last: bool) -> str:
    if last and shape.receiver:
        return (
            "has neither zip nor when and would take every lead; "
            f'take it out and write receiver = "{shape.receiver}" on the form'
        )
    return 'has neither zip nor when; add one, such as zip = ["111-118"]'


def _check_condition(
    layers: Layers, fields: Mapping[str, Field], *, place: str, name: str, value: str
) -> None:
    field = fields.get(name)
    if field is None:
        near = suggest(name, fields)
        layers.add(f"is no field of the form; it has {', '.join(fields)}.{near}", place, "when", name)
        return
    known = [option.value for option in field.options]
    if field.type is FieldType.CHECKBOX:
        known = ["true", "false"]
    if known and value not in known:
        near = suggest(value, known)
        layers.add(
            f'"{value}" can never be answered; known are {", ".join(known)}.{near}', place, "when", name
        )
