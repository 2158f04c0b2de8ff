"""Snapshot → resources: pure functions."""

import json

import msgspec
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import NoCandidate
from sidecar.model import Backend, Endpoint, Guard, Health, Snapshot
from sidecar.wire.refusal import error_body as wire_error_body
from sidecar.xds.attempt import CREDENTIAL_HEADERS, path_prefix, secret_file
from sidecar.xds.bootstrap import bootstrap
from sidecar.xds.clusters import clusters
from sidecar.xds.ext_proc import attribute, decision_seconds, filter_resource
from sidecar.xds.front import own_headers
from sidecar.xds.local_reply import error_body, local_reply
from sidecar.xds.resources import EnvoySettings, literal, seconds
from sidecar.xds.routes import default_chain, routes

SETTINGS = EnvoySettings(run_dir="/run/p", workers=2, ca_file="/ca.pem")
OWN_HEADERS = re2.compile("|".join(own_headers()))


def backend(name, *urls, **fields):
    endpoints = tuple(Endpoint(url) for url in urls or ("http://127.0.0.1:1",))
    return Backend(name, **({"model": "m", "provider": "p", "endpoints": endpoints} | fields))


def snapshot(*backends):
    return Snapshot(
        version=1,
        digest="",
        backends={each.name: each for each in backends},
        routers={},
        routes=None,
        catalog=None,
        default=None,
    )


def built(*backends, **options):
    return {each["name"]: each for each in clusters(snapshot(*backends), SETTINGS, **options)}


def filters(cluster):
    (options,) = cluster["typed_extension_protocol_options"].values()
    return {
        each["name"].rpartition(".")[2]: each["typed_config"] for each in options["http_filters"]
    }


def removed(cluster):
    mutations = filters(cluster)["header_mutation"]["mutations"]["request_mutations"]
    return {each["remove"] for each in mutations if "remove" in each}


@pytest.mark.parametrize("rest", ["", "v", "varian", "variants", "variant-x", "cluster", "ariant"])
def test_own_headers_are_stripped(rest):
    assert OWN_HEADERS.fullmatch(f"x-pointsman-{rest}")


@given(st.text(st.sampled_from("variantx-_1"), max_size=9))
def test_all_own_headers_but_the_variant_are_stripped(rest):
    assert bool(OWN_HEADERS.fullmatch(f"x-pointsman-{rest}")) == (rest != "variant")


@given(st.text(st.sampled_from("variantexpl-_1"), max_size=9))
def test_a_header_that_asks_for_an_explanation_is_spared_only_where_that_is_allowed(rest):
    spared = ["variant", "explain"]
    pattern = re2.compile("|".join(own_headers(spared)))

    assert bool(pattern.fullmatch(f"x-pointsman-{rest}")) == (rest not in spared)
    for word in spared:
        assert not pattern.fullmatch(f"x-pointsman-{word}")
        assert pattern.fullmatch(f"x-pointsman-{word}s")
        assert pattern.fullmatch(f"x-pointsman-{word[:-1]}")


@pytest.mark.parametrize("explain", [True, False])
def test_who_asks_for_an_explanation_is_told_only_where_that_is_allowed(explain):
    text = json.dumps(filter_resource(["x-user-id", "authorization"], explain=explain))

    assert ("source.address" in text) is explain
    assert ("pointsman.explain" in text) is explain
    assert ("x-pointsman-explain" in text) is explain
    assert text.count("'authorization'") == 1
    listener = json.dumps(bootstrap(msgspec.structs.replace(SETTINGS, explain=explain)))
    assert ("x-pointsman-explain" in listener) is explain


@pytest.mark.parametrize("name", ["x-pointsman-variant", "x-user-id", "a-x-pointsman-b"])
def test_other_headers_are_kept(name):
    assert not OWN_HEADERS.fullmatch(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1s"), (0.25, "0.25s"), (1e-9, "0.001s"), (3600.5, "3600.5s"), (10, "10s")],
)
def test_durations_are_never_zero(value, text):
    assert seconds(value) == text


def test_format_characters_and_control_characters_cannot_break_a_header():
    assert literal("100%\r\nx: y é") == "100%%??x: y é"


def test_header_names_are_quoted_in_attributes():
    assert attribute("X-It's\\") == "request.headers['x-it\\'s\\\\']"


def test_the_filter_asks_for_the_path_and_the_headers_of_the_rules():
    config = filter_resource(["x-a", "x-b"])["typed_config"]

    assert config["request_attributes"] == [
        "request.path",
        "request.headers['x-a']",
        "request.headers['x-b']",
    ]


def test_envoy_waits_half_a_second_and_for_every_guard():
    guards = [Guard("a", "http://a", timeout_seconds=0.2), Guard("b", "http://b", 1.25)]

    assert [decision_seconds(guards[:count]) for count in range(3)] == [0.5, 0.7, 1.95]
    assert filter_resource([])["typed_config"]["message_timeout"] == "0.5s"
    assert filter_resource([], 1.95)["typed_config"]["message_timeout"] == "1.95s"


def test_the_default_chain_is_by_priority_then_name_without_those_that_cannot_serve():
    backends = [
        backend("d"),
        backend("b", priority=50),
        backend("c"),
        backend("a", enabled=False),
        backend("e", priority=1),
        backend("f"),
    ]

    assert [each.name for each in default_chain(snapshot(*backends))] == ["e", "b", "c"]
    assert [each.name for each in default_chain(snapshot(*backends), {"e"})] == ["b", "c", "d"]


def test_the_default_chain_names_a_limits_cluster_once_envoy_has_it():
    rules = snapshot(backend("short", timeout_seconds=1), backend("zlong", timeout_seconds=60))

    whole, without = (
        json.dumps(routes(rules, SETTINGS, missing)) for missing in ([], ["short~limited"])
    )

    assert '"cluster_name": "short~limited"' in whole
    assert '"cluster_name": "short"' in without
    assert "~limited" not in without


def test_disabled_backends_have_no_cluster():
    assert built(backend("a"), backend("b", enabled=False)).keys() == {"a"}


def test_a_second_cluster_is_there_for_each_limit_but_the_longest():
    names = built(
        backend("short", timeout_seconds=1),
        backend("long", timeout_seconds=60),
        backend("off", enabled=False, timeout_seconds=99),
        backend("same", timeout_seconds=60),
    )

    assert names.keys() == {"short", "short~limited", "long", "same"}


@pytest.mark.parametrize(
    ("urls", "kind"),
    [
        (["http://10.0.0.1:80", "http://[::1]:80"], "STATIC"),
        (["http://localhost:80"], "STRICT_DNS"),
        (["http://10.0.0.1:80", "http://localhost"], "STRICT_DNS"),
    ],
)
def test_names_are_resolved_and_addresses_are_not(urls, kind):
    assert built(backend("a", *urls))["a"]["type"] == kind


def test_endpoints_have_weight_zone_host_name_and_the_schemes_port():
    endpoints = (
        Endpoint("https://api.example.com/v1", weight=3, zone="z"),
        Endpoint("https://other.example.com:8443/v1"),
    )
    assignment = built(backend("a", endpoints=endpoints))["a"]["load_assignment"]

    first, second, refusing = assignment["endpoints"]
    assert first["locality"] == {"zone": "z"}
    (host,) = first["lb_endpoints"]
    assert host["load_balancing_weight"] == 3
    assert host["endpoint"]["hostname"] == "api.example.com"
    assert host["endpoint"]["address"]["socket_address"]["port_value"] == 443
    assert second["lb_endpoints"][0]["endpoint"]["hostname"] == "other.example.com"
    assert second["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] == 8443
    assert refusing["priority"] == 1


def test_all_real_hosts_can_be_ejected_and_the_refusing_one_cannot():
    for hosts in range(1, 60):
        urls = [f"http://10.0.0.1:{port}" for port in range(1, hosts + 1)]
        limit = built(backend("a", *urls))["a"]["outlier_detection"]["max_ejection_percent"]

        # Envoy ejects while the share that is already out is below the limit.
        assert 100 * (hosts - 1) / (hosts + 1) < limit <= 100 * hosts / (hosts + 1)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("http://h", ""),
        ("http://h/", ""),
        ("http://h/v1", "/v1"),
        ("http://h/v1/", "/v1"),
        ("https://h/openai/v1", "/openai/v1"),
    ],
)
def test_the_path_of_the_endpoint_is_the_prefix(url, prefix):
    assert path_prefix(backend("a", url)) == prefix


def test_a_credential_comes_from_a_file_and_only_authorization_says_bearer():
    cluster = built(
        backend("a", credential="env:A"),
        backend("b", credential="env:B", credential_header="X-Key"),
    )

    injected = [filters(cluster[n])["credential_injector"]["credential"] for n in "ab"]
    bearer, plain = (each["typed_config"] for each in injected)
    assert (bearer["header"], bearer["header_value_prefix"]) == ("authorization", "Bearer ")
    assert (plain["header"], plain["header_value_prefix"]) == ("x-key", "")
    path = bearer["credential"]["sds_config"]["path_config_source"]["path"]
    assert path == f"/run/p/secrets/{secret_file('a')}"
    assert "env:A" not in json.dumps(cluster)


def test_every_cluster_removes_every_header_that_carries_a_credential():
    cluster = built(
        backend("a", credential="env:A", credential_header="X-Own"),
        backend("b"),
        secret_headers=["x-of-a-backend-that-left"],
    )

    for each in cluster.values():
        assert removed(each) >= CREDENTIAL_HEADERS | {"x-own", "x-of-a-backend-that-left"}


def test_health_is_checked_only_where_it_is_asked_for():
    cluster = built(backend("a"), backend("b", health=Health("/up", 0.5)))

    assert "health_checks" not in cluster["a"]
    (check,) = cluster["b"]["health_checks"]
    assert (check["interval"], check["http_health_check"]["path"]) == ("0.5s", "/up")


def test_an_edit_of_one_backend_changes_no_other_cluster():
    before = built(backend("a"), backend("b"))
    after = built(backend("a", model="other"), backend("b"))

    assert before["a"] != after["a"]
    assert before["b"] == after["b"]


def test_file_names_of_secrets_are_safe_and_differ():
    names = ["a", "A", "a/b", "../x", "a:b@c"]

    files = {secret_file(name) for name in names}

    assert len(files) == len(names)
    assert all(file.removesuffix(".json").isalnum() for file in files)


def test_own_names_cannot_meet_a_backends_name():
    static = bootstrap(SETTINGS)["static_resources"]["clusters"]

    assert all("~" in cluster["name"] for cluster in static)


def test_there_is_one_socket_for_each_worker():
    workers, *_ = bootstrap(SETTINGS)["static_resources"]["clusters"]
    (endpoints,) = workers["load_assignment"]["endpoints"]
    paths = [e["endpoint"]["address"]["pipe"]["path"] for e in endpoints["lb_endpoints"]]

    assert paths == ["/run/p/worker-0.sock", "/run/p/worker-1.sock"]


def test_errors_have_the_same_shape_here_as_from_a_worker():
    error = NoCandidate("nothing")

    assert json.loads(error_body(error)) == json.loads(wire_error_body(error))


def test_refusals_of_workers_are_left_alone_by_name():
    expressions = [
        each["filter"]["extension_filter"]["typed_config"]["expression"]
        for each in local_reply(1)["mappers"]
    ]

    assert all('"no_candidate"' in each and '"direct_response"' in each for each in expressions)


def test_routes_are_json_that_can_be_written():
    assert msgspec.json.encode(routes(snapshot(backend("a")), SETTINGS))
