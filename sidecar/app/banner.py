"""What `pointsman up` prints once everything answers."""

from collections.abc import Mapping

from rich.console import Console

from sidecar.app.child import find_redis_cli
from sidecar.settings import Settings

_CURL = """curl -s http://{listen}/v1/chat/completions \\
  -H 'content-type: application/json' \\
  -d '{{"model": "smart", "messages": [{{"role": "user", "content": "Hello!"}}]}}'"""
_RULE = """{redis_cli} -u {url} HSET {prefix}routes first \\
  '{{"order": 1, "router": {{"type": "fallback", "targets": ["large", "small"]}}}}'"""


def show(settings: Settings, pids: Mapping[str, int]) -> None:
    """Print addresses, processes, a request to paste and a rule to try."""
    console = Console(soft_wrap=True, highlight=False)
    console.print("\n[bold green]Pointsman is up.[/] Ctrl-C stops everything.\n")
    rows = {
        "clients": f"http://{settings.listen}/v1   (base_url of any OpenAI client)",
        "console": f"http://{settings.admin}/   (the API's reference: /docs)",
        "metrics": f"http://{settings.admin}/metrics   /readyz   /healthz",
        "Envoy's admin": f"http://{settings.envoy_admin}",
        "rules": settings.store_url(),
        "processes": "  ".join(f"{name} {pid}" for name, pid in pids.items()),
        "logs": str(settings.run_folder()),
    }
    for name, value in rows.items():
        console.print(f"[dim]{name:<15}[/]{value}")
    console.print("\nAsk something:\n", style="bold")
    console.print(_CURL.format(listen=settings.listen), markup=False)
    if "large" in pids:  # the rule is about the demo's models
        console.print("\nChange a rule; the next answer follows it:\n", style="bold")
        rule = _RULE.format(
            redis_cli=find_redis_cli(), url=settings.store_url(), prefix=settings.prefix
        )
        console.print(rule, markup=False)
    console.print()
