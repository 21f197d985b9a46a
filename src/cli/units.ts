/** The text of each service's unit, for the command that starts Dewey there. */
export const units: Record<"serve" | "proxy" | "watch", (command: string) => string> = {
  serve: serveUnit,
  proxy: proxyUnit,
  watch: watchUnit,
};

/**
 * SetCredential supplies an empty line (systemd accepts no empty text) for a missing file, so that the unit starts without
 * secrets. MemoryDenyWriteExecute is absent because the JavaScript runtime compiles at run time. KillMode=mixed signals only
 * Dewey, which stops its PostgreSQL itself. Restarts are unlimited, because an hour without a database must not end the
 * service; but after a wrong setting (exit code 2) another start fails as well.
 *
 * The service is started once it serves: a first start makes the database, and one after an upgrade migrates it, which has no
 * time limit. From then on an event loop that does not turn for a minute is restarted; the longest turns take some seconds.
 * Memory is limited to a share of the machine's, so that neither a small nor a large one needs another unit. If the kernel
 * ends a process of PostgreSQL, Dewey restarts that by itself.
 */
function serveUnit(command: string): string {
  return `[Unit]
Description=Dewey, the librarian of MCP conversations
After=network-online.target postgresql.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
TimeoutStartSec=infinity
WatchdogSec=60
ExecStart=${command} serve
ExecReload=/bin/kill -HUP $MAINPID
Environment=DEWEY_DATA_DIR=%S/dewey
Environment=DEWEY_TOKEN_FILE=%d/token
Environment=DEWEY_DATABASE_URL_FILE=%d/database-url
Environment=DEWEY_DB_PASSWORD_FILE=%d/db-password
EnvironmentFile=-/etc/dewey/serve.env
LoadCredential=token:/etc/dewey/token
SetCredential=token:\\n
LoadCredential=database-url:/etc/dewey/database-url
SetCredential=database-url:\\n
LoadCredential=db-password:/etc/dewey/db-password
SetCredential=db-password:\\n
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=2
KillMode=mixed
TimeoutStopSec=30
MemoryHigh=60%
MemoryMax=75%
OOMPolicy=continue

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

/**
 * Deliberately almost unconfined: the servers behind the proxy are the user's own programs with unknown needs. They count
 * towards its memory; if the kernel ends one of them, the proxy reports that and goes on.
 */
function proxyUnit(command: string): string {
  return `[Unit]
Description=Dewey, the recorder between MCP clients and servers
StartLimitIntervalSec=0

[Service]
Type=notify
WatchdogSec=60
ExecStart=${command} proxy
ExecReload=/bin/kill -HUP $MAINPID
EnvironmentFile=-%E/dewey/proxy.env
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=2
KillMode=mixed
TimeoutStopSec=30
MemoryMax=75%
OOMPolicy=continue
UMask=0077

[Install]
WantedBy=default.target
`;
}

/**
 * It only reads the user's home, and writes into Dewey's own folder, which DEWEY_DATA_DIR may move. Transcripts of 100 MB take
 * some hundred megabytes while they are read.
 */
function watchUnit(command: string): string {
  return `[Unit]
Description=Dewey, the watch over the sessions of agents
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command} watch
EnvironmentFile=-%E/dewey/watch.env
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=10
TimeoutStopSec=30
MemoryHigh=1G
MemoryMax=2G
Nice=10
UMask=0077

[Install]
WantedBy=default.target
`;
}
