"""The client of MCP's Python SDK: calls a tool with the given arguments, one after the other, and prints what came.

usage: sdk_client.py TARGET TOOL ARGUMENTS [ARGUMENTS ...]

TARGET is an address, or a command as a JSON array; each ARGUMENTS is a JSON object. The output is one JSON object: the
revision that was settled on, the number of tools, and the length of each result's texts or its error.
"""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters


async def main(target: str, tool: str, *calls: str) -> None:
    server = target
    if target.startswith("["):
        command, *args = json.loads(target)
        server = StdioServerParameters(command=command, args=args)
    async with Client(server) as client:
        tools = await client.list_tools()
        lengths = []
        for arguments in calls:
            try:
                result = await client.call_tool(tool, json.loads(arguments))
                lengths.append(sum(len(block.text) for block in result.content if block.type == "text"))
            except Exception as error:  # Printed, whatever it is.
                lengths.append(repr(error))
        print(json.dumps({"revision": client.protocol_version, "tools": len(tools.tools), "lengths": lengths}))


asyncio.run(main(*sys.argv[1:]))
