"""A server on FastMCP with a tool, a long result, a resource, a template and a prompt."""

from fastmcp import FastMCP

mcp = FastMCP("fast")


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool
def big(characters: int) -> str:
    """Answers with a text of this length."""
    return "z" * characters


@mcp.resource("quince://one")
def one() -> str:
    """One quince."""
    return "a quince"


@mcp.resource("quince://{number}")
def many(number: str) -> str:
    """Some quinces."""
    return f"{number} quinces"


@mcp.prompt
def greet(name: str) -> str:
    """Greets a person."""
    return f"Good morning, {name}."


mcp.run(show_banner=False)
