/** The text of each service's unit, for the command that starts Dewey there. */
export const units: Record<"serve" | "proxy" | "watch", (command: string) => string> = {
  serve: serveUnit,
  proxy: proxyUnit,
  watch: watchUnit,
};

/**
 * SetCredential supplies an empty line (systemd accepts no empty text) for a missing file, so that the unit starts without
 * secrets. MemoryDenyWriteExecute is absent because the JavaScript runtime compiles at run time. KillMode=mixed signals only
 * Dewey, which stops its PostgreSQL itself. Restarts are unlimited: an hour without a database must not end the service.
 */
function serveUnit(command: string): string {
  return `[Unit]
Description=Dewey, the librarian of MCP conversations
After=network-online.target postgresql.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command} serve
Environment=DEWEY_DATA_DIR=%S/dewey
Environment=DEWEY_TOKEN_FILE=%d/token
Environment=DEWEY_DB_PASSWORD_FILE=%d/db-password
EnvironmentFile=-/etc/dewey/serve.env
LoadCredential=token:/etc/dewey/token
SetCredential=token:\\n
LoadCredential=db-password:/etc/dewey/db-password
SetCredential=db-password:\\n
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec=30

DynamicUser=yes
StateDirectory=dewey
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** Deliberately almost unconfined: the servers behind the proxy are the user's own programs with unknown needs. */
function proxyUnit(command: string): string {
  return `[Unit]
Description=Dewey, the recorder between MCP clients and servers
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command} proxy
ExecReload=/bin/kill -HUP $MAINPID
EnvironmentFile=-%E/dewey/proxy.env
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec=30
UMask=0077

[Install]
WantedBy=default.target
`;
}

/** It only reads the user's home, and writes into Dewey's own folder, which DEWEY_DATA_DIR may move. */
function watchUnit(command: string): string {
  return `[Unit]
Description=Dewey, the watch over the sessions of agents
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command} watch
EnvironmentFile=-%E/dewey/watch.env
Restart=on-failure
RestartSec=10
TimeoutStopSec=30
Nice=10
UMask=0077

[Install]
WantedBy=default.target
`;
}
