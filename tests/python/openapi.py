"""Holds a running gateway against its own /openapi.json: openapi.py URL COMMAND ALERT

The document is a valid one (openapi-spec-validator); every path takes just the methods it says; every
operation with every parameter answers with a status, a media type and a body that the document has, and so
do the refusals that a request can provoke. The device pump-1 must be there, and COMMAND be an open command of
it, ALERT an alert that is not cleared. Prints how many answers were looked at; exits with 1 at the first that differs.
"""

import http.client
import json
import sys
from urllib.parse import quote, urlsplit

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DEADLINE_S = 30
METHODS = ("put", "get", "patch", "post", "delete")
PROBLEM = "application/problem+json"
STREAM = "text/event-stream"
BASE = "https://sluice.invalid/openapi.json"


class Gateway:
    def __init__(self, url):
        self.address = urlsplit(url).netloc
        self.answers = 0
        self.document = json.loads(self.ask("GET", "/openapi.json")[2])
        document = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self.registry = Registry().with_resource(BASE, document)

    def ask(self, method, path, headers=None, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=DEADLINE_S)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        kind = answer.headers.get_content_type() if answer.headers["content-type"] else None
        text = first_event(answer) if kind == STREAM else answer.read().decode()
        connection.close()
        self.answers += 1
        return answer.status, kind, text, answer.headers

    def check(self, operation, method, path, headers=None, body=None):
        """Asks, and compares the answer with what the document says of the operation."""
        status, kind, text, _ = self.ask(method.upper(), path, headers, body)
        what = f"{method.upper()} {path} {headers or ''}: {status} {text[:300]}"
        documented = operation["responses"].get(str(status))
        assert documented, f"{what}\nis not one of {list(operation['responses'])}"
        content = documented.get("content", {})
        if kind is None or not content:
            assert not text and not content, f"{what}\nhas a body {kind}, and not {list(content)}"
            return status, None
        assert kind in content, f"{what}\nis {kind}, and not one of {list(content)}"
        value = json.loads(text) if kind.endswith("json") or kind == STREAM else text
        schema = absolute(content[kind]["schema"])
        errors = Draft202012Validator(schema, registry=self.registry).iter_errors(value)
        for error in errors:
            raise AssertionError(f"{what}\n{error.json_path}: {error.message}")
        return status, value


def absolute(schema):
    """The schema with references that do not depend on where it stands."""
    if isinstance(schema, dict):
        return {
            name: BASE + part if name == "$ref" else absolute(part) for name, part in schema.items()
        }
    return [absolute(part) for part in schema] if isinstance(schema, list) else schema


def first_event(answer):
    """The data of a stream's first event."""
    while line := answer.readline().decode():
        if line.startswith("data:"):
            return line.removeprefix("data:").strip()
    raise AssertionError("the stream ended without an event")


def requests(operation, path):
    """The operation as it stands, and with each of its parameters: path, headers."""
    yield path, {}
    for parameter in operation.get("parameters", []):
        if "example" not in parameter:
            continue
        value = str(parameter["example"])
        if parameter["in"] == "query" and not parameter.get("required"):
            yield f"{path}{'&' if '?' in path else '?'}{parameter['name']}={quote(value)}", {}
        elif parameter["in"] == "header":
            yield path, {parameter["name"]: value}


def needed(operation, path):
    """The path with the parameters that it cannot be asked without."""
    pairs = [
        f"{parameter['name']}={quote(str(parameter['example']))}"
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter.get("required")
    ]
    return path + ("?" + "&".join(pairs) if pairs else "")


def do(gateway, method, operation, path):
    body, headers = None, {}
    if content := operation.get("requestBody", {}).get("content"):
        kind = "application/json"
        headers, body = {"content-type": kind}, json.dumps(content[kind]["example"])
    for target, more in requests(operation, needed(operation, path)):
        status, _ = gateway.check(operation, method, target, headers | more, body)
        expected = status < 300 or path in ("/ws", "/mqtt")
        assert expected, f"{method} {target} {more} does not work as it is documented: {status}"


def refuse(gateway, method, operation, path, template):
    """What can be done wrong has a documented answer."""
    expect = lambda status, *request: check_refusal(gateway, operation, method, status, *request)
    expect(403, path, {"host": "evil.example"})
    expect(403, path, {"origin": "http://evil.example"})
    if template.startswith("/api/"):
        expect(400, path + "?colour=red")
    if "{id}" in template:
        expect(400, template.replace("{id}", "a%20b"))
    if "requestBody" in operation:
        kind = {"content-type": "application/json"}
        expect(422, path, kind, "[]")
        expect(400, path, kind, "{")
        expect(415, path, {}, "{}")
        expect(413, path, kind, json.dumps({"name": "x" * 300_000}))
    uuid = "0190d9c2-7c3a-7b6e-8f00-000000000000"
    unknown = {"DeviceId": "nobody", "CommandId": uuid, "AlertId": uuid}
    if "{id}" in template and method != "put":
        schema = gateway.document["paths"][template]["parameters"][0]["schema"]["$ref"]
        target = template.replace("{id}", unknown[schema.rsplit("/", 1)[1]])
        content = operation.get("requestBody", {}).get("content", {})
        body = json.dumps(content["application/json"]["example"]) if content else None
        expect(404, target, {"content-type": "application/json"} if content else {}, body)


def check_refusal(gateway, operation, method, status, *request):
    was, problem = gateway.check(operation, method, *request)
    assert was == status, f"{method} {request[0]}: {was}, and not {status}: {problem}"


def new_batch(gateway):
    """A batch that has not ended: its device never comes."""
    body = json.dumps({"devices": ["pump-1"], "command": {"name": "open"}})
    kind = {"content-type": "application/json"}
    return json.loads(gateway.ask("POST", "/api/v1/command-batches", kind, body)[2])["id"]


def main(url, command, alert):
    gateway = Gateway(url)
    validate(gateway.document)
    last = []
    for template, item in gateway.document["paths"].items():
        ids = {"commands": command, "alerts": alert}
        path = template.replace("{id}", ids.get(template.split("/")[3] if template.startswith("/api/") else "", "pump-1"))
        if template.startswith("/api/v1/command-batches/"):
            path = template.replace("{id}", new_batch(gateway))
        status, _, _, headers = gateway.ask("PROPFIND", path)
        taken = {method.strip().lower() for method in headers.get("allow", "").split(",")} - {"head"}
        documented = {method for method in METHODS if method in item}
        assert (status, taken) == (405, documented), f"{template} takes {taken}, not {documented}"
        for method in METHODS:
            if operation := item.get(method):
                refuse(gateway, method, operation, path, template)
                if method == "delete":
                    last.append((method, operation, path))
                else:
                    do(gateway, method, operation, path)
    for method, operation, path in last:
        do(gateway, method, operation, path)
    print(json.dumps(gateway.answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
