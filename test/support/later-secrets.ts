import { Random } from "../faults/random.ts";

// Two more sets of forms and of harmless texts. The first was written without a look at the redactor's rules, the second,
// with rarer notations, after one. Before their forms were added, the redactor missed 26 of 211 of the first and 33 of 189
// of the second.

/** A form, its text and the secret in it. */
export type LaterSecret = [form: string, text: string, secret: string];

const letters = "abcdefghijklmnopqrstuvwxyz";
const digits = "0123456789";

/** Draws values of the alphabets that makers use. */
function drawing(random: Random) {
  const from = (alphabet: string) => (length: number) =>
    Array.from({ length }, () => alphabet[random.integer(0, alphabet.length - 1)] ?? "").join("");
  const alnum = letters + letters.toUpperCase() + digits;
  const hex = from(`${digits}abcdef`);
  return {
    hex,
    HEX: from(`${digits}ABCDEF`),
    low: from(letters + digits),
    up: from(letters.toUpperCase() + digits),
    an: from(alnum),
    b64: from(`${alnum}+/`),
    url: from(`${alnum}-_`),
    dig: from(digits),
    b32: from(`${letters.toUpperCase()}234567`),
    Letters: from(letters + letters.toUpperCase()),
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
  };
}
type Draw = ReturnType<typeof drawing>;

/** The forms of both sets, with values drawn by the seed. */
export function laterSecrets(seed: number): LaterSecret[] {
  const draw = drawing(new Random(seed));
  return [...firstSet(draw), ...secondSet(draw)];
}

/** Collects forms. */
function collector(): {
  forms: LaterSecret[];
  add: (form: string, secret: string, text: (s: string) => string) => void;
} {
  const forms: LaterSecret[] = [];
  return { forms, add: (form, secret, text) => void forms.push([form, text(secret), secret]) };
}

function firstSet({ hex, HEX, low, up, an, b64, url, dig, b32, uuid, Letters }: Draw): LaterSecret[] {
  const { forms, add } = collector();
  add(
    "github fine-grained",
    `github_pat_${an(22)}_${an(59)}`,
    (s) => `git clone https://oauth2:${s}@github.com/acme/infra.git`,
  );
  add("github app installation", `ghs_${an(36)}`, (s) => `The workflow printed ${s} in its log`);
  add("github refresh", `ghr_${an(76)}`, (s) => `{"refresh_token":"${s}","expires_in":15897600}`);
  add("gitlab pat", `glpat-${url(20)}`, (s) => `export CI_PUSH=${s}`);
  add("gitlab deploy token", `gldt-${url(20)}`, (s) => `docker login registry.gitlab.com -u deploy -p ${s}`);
  add("gitlab runner auth", `glrt-${url(20)}`, (s) => `gitlab-runner register --url https://gitlab.com --token ${s}`);
  add("gitlab feed", `glft-${url(20)}`, (s) => `https://gitlab.com/dashboard.atom?feed_token=${s}`);
  add("gitlab oauth app secret", `gloas-${hex(64)}`, (s) => `app secret: ${s}`);
  add(
    "aws akid + secret",
    b64(40),
    (s) => `[default]\naws_access_key_id = AKIA${b32(16)}\naws_secret_access_key = ${s}\nregion = eu-west-1`,
  );
  add(
    "aws secret camel json",
    b64(40),
    (s) =>
      `{"Credentials":{"AccessKeyId":"ASIA${b32(16)}","SecretAccessKey":"${s}","Expiration":"2026-11-29T10:00:00Z"}}`,
  );
  add("aws session token", b64(356) + "==", (s) => `export AWS_SESSION_TOKEN="${s}"`);
  add("aws bedrock long-lived", `ABSK${b64(128)}=`, (s) => `AWS_BEARER_TOKEN_BEDROCK=${s}`);
  add("aws mws", `amzn.mws.${uuid()}`, (s) => `mws auth ${s}`);
  add(
    "gcp api key",
    `AIza${url(35)}`,
    (s) => `<script src="https://maps.googleapis.com/maps/api/js?key=${s}&callback=init"></script>`,
  );
  add(
    "gcp oauth client secret",
    `GOCSPX-${url(28)}`,
    (s) => `"client_secret":"${s}","redirect_uris":["http://localhost"]`,
  );
  add("google access token", `ya29.${url(120)}`, (s) => `gcloud auth print-access-token\n${s}`);
  add(
    "google refresh token",
    `1//0${url(97)}`,
    (s) => `{"client_id": "x.apps.googleusercontent.com", "refresh_token": "${s}", "type": "authorized_user"}`,
  );
  add(
    "azure storage connection",
    b64(86) + "==",
    (s) => `DefaultEndpointsProtocol=https;AccountName=acmestore;AccountKey=${s};EndpointSuffix=core.windows.net`,
  );
  add(
    "azure service bus",
    b64(43) + "=",
    (s) =>
      `Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=${s}`,
  );
  add(
    "azure sas sig",
    `${an(30)}%2B${an(12)}%3D`,
    (s) => `https://acme.blob.core.windows.net/c/f.csv?sv=2022-11-02&se=2026-12-01&sr=b&sp=r&sig=${s}`,
  );
  add(
    "azure ad client secret",
    `${an(3)}8Q~${url(34)}`,
    (s) => `az login --service-principal -u ${uuid()} -p ${s} --tenant ${uuid()}`,
  );
  add("azure devops pat", low(52), (s) => `AZURE_DEVOPS_EXT_PAT=${s}`);
  add("openai project", `sk-proj-${url(74)}T3BlbkFJ${url(74)}`, (s) => `client = OpenAI(api_key="${s}")`);
  add("openai legacy", `sk-${an(20)}T3BlbkFJ${an(20)}`, (s) => `I put ${s} into the .env, is that ok?`);
  add("openai service acct", `sk-svcacct-${url(74)}T3BlbkFJ${url(74)}`, (s) => `OPENAI=${s}`);
  add(
    "anthropic",
    `sk-ant-api03-${url(93)}AA`,
    (s) => `curl https://api.anthropic.com/v1/messages -H "x-api-key: ${s}"`,
  );
  add("anthropic admin", `sk-ant-admin01-${url(93)}AA`, (s) => `admin ${s}`);
  add("huggingface", `hf_${Letters(34)}`, (s) => `huggingface-cli login --token ${s}`);
  add("replicate", `r8_${an(37)}`, (s) => `REPLICATE_API_TOKEN=${s}`);
  add("groq", `gsk_${an(52)}`, (s) => `groq = Groq("${s}")`);
  add("perplexity", `pplx-${an(48)}`, (s) => `headers={"Authorization": "Bearer ${s}"}`);
  add("xai", `xai-${an(80)}`, (s) => `xai: ${s}`);
  add("openrouter", `sk-or-v1-${hex(64)}`, (s) => `OPENROUTER=${s}`);
  add("deepseek", `sk-${hex(32)}`, (s) => `deepseek key is ${s}`);
  add("mistral env", an(32), (s) => `MISTRAL_API_KEY=${s}`);
  add("elevenlabs", `sk_${hex(48)}`, (s) => `ELEVENLABS=${s}`);
  add("langsmith", `lsv2_pt_${hex(32)}_${hex(10)}`, (s) => `LANGCHAIN=${s}`);
  add("wandb", hex(40), (s) => `wandb login ${s}`);
  add("pinecone", `pcsk_${an(6)}_${an(63)}`, (s) => `pc = Pinecone("${s}")`);
  add("stripe live", `sk_live_${an(24)}`, (s) => `stripe.api_key = "${s}"`);
  add("stripe restricted", `rk_live_${an(99)}`, (s) => `using ${s}`);
  add(
    "stripe webhook",
    `whsec_${an(32)}`,
    (s) => `stripe listen --forward-to localhost\n> Ready! Your webhook signing secret is ${s}`,
  );
  add("slack bot", `xoxb-${dig(12)}-${dig(13)}-${an(24)}`, (s) => `SLACK=${s}`);
  add("slack user", `xoxp-${dig(12)}-${dig(12)}-${dig(13)}-${hex(32)}`, (s) => `token ${s}`);
  add("slack app", `xapp-1-A${up(10)}-${dig(13)}-${hex(64)}`, (s) => `app_level: ${s}`);
  add("slack browser", `xoxc-${dig(12)}-${dig(12)}-${dig(13)}-${hex(64)}`, (s) => `d ${s}`);
  add(
    "slack webhook",
    `B${up(10)}/${an(24)}`,
    (s) => `curl -X POST https://hooks.slack.com/services/T0A1B2C3D4/${s} -d '{"text":"hi"}'`,
  );
  add("discord webhook", url(68), (s) => `https://discord.com/api/webhooks/${dig(19)}/${s}`);
  add("discord bot", `MT${an(24)}.G${an(5)}.${url(38)}`, (s) => `client.login("${s}")`);
  add("telegram", `${dig(10)}:AA${url(33)}`, (s) => `bot = TeleBot("${s}")`);
  add(
    "teams webhook",
    `${hex(32)}/${uuid()}`,
    (s) => `https://acme.webhook.office.com/webhookb2/${uuid()}@${uuid()}/IncomingWebhook/${s}`,
  );
  add("twilio api key secret", an(32), (s) => `TWILIO_API_SECRET=${s}`);
  add("twilio auth token", hex(32), (s) => `client = Client("AC${hex(32)}", "${s}")`);
  add("sendgrid", `SG.${url(22)}.${url(43)}`, (s) => `sg = sendgrid.SendGridAPIClient("${s}")`);
  add("mailgun", `key-${hex(32)}`, (s) => `curl -s --user 'api:${s}' https://api.mailgun.net/v3/d/messages`);
  add("mailchimp", `${hex(32)}-us14`, (s) => `mailchimp ${s}`);
  add("postmark", uuid(), (s) => `X-Postmark-Server-Token: ${s}`);
  add("brevo", `xkeysib-${hex(64)}-${an(16)}`, (s) => `brevo: ${s}`);
  add("resend", `re_${an(8)}_${an(24)}`, (s) => `const resend = new Resend('${s}')`);
  add("npm", `npm_${an(36)}`, (s) => `//registry.npmjs.org/:_authToken=${s}`);
  add("pypi", `pypi-AgEIcHlwaS5vcmc${url(150)}`, (s) => `[pypi]\n  username = __token__\n  password = ${s}`);
  add("rubygems", `rubygems_${hex(48)}`, (s) => `---\n:rubygems_api_key: ${s}`);
  add("crates", `cio${an(32)}`, (s) => `cargo login ${s}`);
  add("nuget", `oy2${low(43)}`, (s) => `dotnet nuget push x.nupkg --api-key ${s} --source nuget`);
  add("dockerhub pat", `dckr_pat_${url(27)}`, (s) => `echo ${s} | docker login -u me --password-stdin`);
  add(
    "docker config auth",
    Buffer.from(`me:${an(20)}`).toString("base64"),
    (s) => `{"auths":{"https://index.docker.io/v1/":{"auth":"${s}"}}}`,
  );
  add("digitalocean", `dop_v1_${hex(64)}`, (s) => `doctl auth init -t ${s}`);
  add("linode", hex(64), (s) => `LINODE_CLI_TOKEN=${s}`);
  add("hetzner hcloud", an(64), (s) => `export HCLOUD_TOKEN=${s}`);
  add("cloudflare token", url(40), (s) => `CLOUDFLARE_API_TOKEN="${s}"`);
  add("cloudflare global key header", hex(37), (s) => `curl -H "X-Auth-Email: a@b.c" -H "X-Auth-Key: ${s}"`);
  add("cloudflare origin ca", `v1.0-${hex(24)}-${hex(146)}`, (s) => `origin ${s}`);
  add("heroku", `HRKU-${uuid()}`, (s) => `heroku token ${s}`);
  add("vercel", an(24), (s) => `vercel deploy --token=${s} --prod`);
  add("netlify", `nfp_${an(36)}`, (s) => `netlify ${s}`);
  add("fly", `FlyV1 fm2_${b64(120)}`, (s) => `FLY_API_TOKEN="${s}"`);
  add("render", `rnd_${an(32)}`, (s) => `render ${s}`);
  add("supabase pat", `sbp_${hex(40)}`, (s) => `supabase login --token ${s}`);
  add("planetscale", `pscale_tkn_${url(43)}`, (s) => `pscale ${s}`);
  add(
    "neon url",
    an(16),
    (s) =>
      `DATABASE_URL='postgresql://neondb_owner:${s}@ep-cool-fog-12345.eu-central-1.aws.neon.tech/neondb?sslmode=require'`,
  );
  add("mongodb srv", an(14), (s) => `mongodb+srv://admin:${s}@cluster0.ab1cd.mongodb.net/?retryWrites=true`);
  add(
    "redis url without user",
    an(24),
    (s) => `REDIS_URL=redis://:${s}@redis-12345.c1.eu-west-1-3.ec2.cloud.redislabs.com:12345`,
  );
  add("amqp url", an(32), (s) => `amqps://user:${s}@kangaroo.rmq.cloudamqp.com/user`);
  add("jdbc params", an(12), (s) => `jdbc:mysql://db:3306/app?user=app&password=${s}&useSSL=true`);
  add(
    "mssql connection",
    "Tr0ub4dor&3xyz",
    (s) => `Server=tcp:acme.database.windows.net,1433;Initial Catalog=app;User ID=sa;Password=${s};Encrypt=True;`,
  );
  add("psycopg dsn", an(12), (s) => `psycopg2.connect("host=db dbname=app user=app password=${s}")`);
  add("pgpass", an(16), (s) => `# ~/.pgpass\ndb.acme.com:5432:app:app:${s}`);
  add("my.cnf", "S3cret!word9", (s) => `[client]\nuser=root\npassword="${s}"`);
  add("netrc", an(18), (s) => `machine api.heroku.com\n  login me@acme.com\n  password ${s}`);
  add("databricks", `dapi${hex(32)}`, (s) => `databricks configure --token\n${s}`);
  add(
    "snowflake password yaml",
    "Winter#2026go",
    (s) => `snowflake:\n  account: ab12345\n  user: etl\n  password: ${s}\n`,
  );
  add("datadog api key", hex(32), (s) => `DD_API_KEY=${s}`);
  add("datadog app key header", hex(40), (s) => `-H "DD-APPLICATION-KEY: ${s}"`);
  add("new relic", `NRAK-${up(27)}`, (s) => `newrelic ${s}`);
  add("new relic license", `${hex(36)}NRAL`, (s) => `license_key: ${s}`);
  add("sentry auth", `sntrys_${b64(140)}_${b64(43)}`, (s) => `SENTRY=${s}`);
  add("sentry user token", `sntryu_${hex(64)}`, (s) => `sentry-cli --auth-token ${s} releases list`);
  add("sentry dsn secret", hex(32), (s) => `https://${hex(32)}:${s}@sentry.io/12345`);
  add("grafana sa", `glsa_${an(32)}_${hex(8)}`, (s) => `grafana ${s}`);
  add("grafana cloud", `glc_${b64(100)}`, (s) => `loki ${s}`);
  add("pagerduty", `u+${url(18)}`, (s) => `Authorization: Token token=${s}`);
  add("opsgenie", uuid(), (s) => `Authorization: GenieKey ${s}`);
  add("honeycomb header", an(22), (s) => `x-honeycomb-team: ${s}`);
  add("okta ssws", `00${url(40)}`, (s) => `Authorization: SSWS ${s}`);
  add("auth0 client secret", url(64), (s) => `AUTH0_CLIENT_SECRET=${s}`);
  add(
    "jwt bearer",
    `eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.${url(200)}.${url(342)}`,
    (s) => `GET /me\nAuthorization: Bearer ${s}\nAccept: */*`,
  );
  add("opaque bearer", url(43), (s) => `curl -H 'Authorization: Bearer ${s}' https://api.acme.com/v1`);
  add("basic header", Buffer.from("svc-user:hunter2hunter2").toString("base64"), (s) => `authorization: Basic ${s}`);
  add("curl -u", "p4ssw0rd-long", (s) => `curl -u admin:${s} https://nexus.acme.com/service/rest`);
  add("wget", "sw0rdfish77", (s) => `wget --user=me --password=${s} https://x/y.tgz`);
  add("sshpass", "Gr33nTree!", (s) => `sshpass -p '${s}' ssh root@10.0.0.5`);
  add("mysql -p", "r00tpass", (s) => `mysqldump -h db -u root -p${s} app > dump.sql`);
  add("PGPASSWORD", "qwerty-Zebra-7", (s) => `PGPASSWORD=${s} psql -h db -U app`);
  add("openssl pass", "letmein-2026", (s) => `openssl enc -aes-256-cbc -pass pass:${s} -in a -out b`);
  add("ansible become", "bEc0mePass", (s) => `ansible_become_pass: ${s}`);
  add("ldap bind", "b1ndPw!x", (s) => `ldapsearch -x -D cn=admin,dc=acme -w '${s}' -b dc=acme`);
  add("kubectl secret literal", "k8s-Pa55", (s) => `kubectl create secret generic db --from-literal=password=${s}`);
  add(
    "k8s secret base64",
    Buffer.from(an(18)).toString("base64"),
    (s) => `apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: ${s}`,
  );
  add(
    "kubeconfig token",
    `eyJhbGciOiJSUzI1NiJ9.${url(90)}.${url(86)}`,
    (s) => `users:\n- name: admin\n  user:\n    token: ${s}`,
  );
  add("vault token", `hvs.${url(90)}`, (s) => `VAULT_TOKEN=${s} vault kv get secret/app`);
  add("vault unseal", b64(43) + "=", (s) => `Unseal Key 1: ${s}`);
  add(
    "terraform cloud",
    `${an(14)}.atlasv1.${url(67)}`,
    (s) => `credentials "app.terraform.io" {\n  token = "${s}"\n}`,
  );
  add("tf var", "Adm1nPass99", (s) => `variable "db_password" {\n  default = "${s}"\n}`);
  add("helm set", "Sup3rS3cret", (s) => `helm upgrade app ./chart --set postgresql.auth.password=${s}`);
  add("django secret key", "p#0v!k2^u@9s$d8f&l3q*e7r(t6y)z1x-c4v", (s) => `SECRET_KEY = 'django-insecure-${s}'`);
  add("rails master", hex(32), (s) => `RAILS_MASTER_KEY=${s}`);
  add("laravel app key", b64(43) + "=", (s) => `APP_KEY=base64:${s}`);
  add("nextauth", b64(43) + "=", (s) => `NEXTAUTH_SECRET=${s}`);
  add("jwt secret code", "my-very-own-signing-phrase-42", (s) => `const JWT_SECRET = "${s}";`);
  add("spring yaml", "dbPass2026x", (s) => `spring:\n  datasource:\n    username: sa\n    password: ${s}`);
  add("properties dotted", "prodDb77", (s) => `spring.datasource.password=${s}`);
  add(
    "xml config",
    "Xm1Passw0rd",
    (s) => `<server><id>nexus</id><username>ci</username><password>${s}</password></server>`,
  );
  add("web.config", "Pa$$w0rdX", (s) => `<add key="SmtpPassword" value="${s}" />`);
  add("plist", "Key9182736455", (s) => `<key>APIKey</key>\n<string>${s}</string>`);
  add(
    "openssh key",
    b64(70),
    (s) => `-----BEGIN OPENSSH PRIVATE KEY-----\n${b64(70)}\n${s}\n-----END OPENSSH PRIVATE KEY-----`,
  );
  add(
    "pkcs8 json escaped",
    b64(64),
    (s) => `{"private_key":"-----BEGIN PRIVATE KEY-----\\n${b64(64)}\\n${s}\\n-----END PRIVATE KEY-----\\n"}`,
  );
  add(
    "pgp block",
    b64(64),
    (s) => `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${s}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----`,
  );
  add("age", `AGE-SECRET-KEY-1${up(58)}`, (s) => `# public key: age1xyz\n${s}`);
  add("wireguard", b64(43) + "=", (s) => `[Interface]\nPrivateKey = ${s}\nAddress = 10.0.0.2/24`);
  add("jwk d", url(43), (s) => `{"kty":"EC","crv":"P-256","x":"${url(43)}","y":"${url(43)}","d":"${s}"}`);
  add("shadow", `$6$${an(16)}$${b64(86)}`, (s) => `root:${s}:19000:0:99999:7:::`);
  add("htpasswd", `$2y$05$${b64(53)}`, (s) => `admin:${s}`);
  add("set-cookie", an(40), (s) => `Set-Cookie: connect.sid=s%3A${s}; Path=/; HttpOnly`);
  add("cookie second", an(32), (s) => `Cookie: theme=dark; sessionid=${s}; csrftoken=${an(32)}`);
  add("csrf header", an(40), (s) => `X-CSRF-Token: ${s}`);
  add("oauth code exchange", url(40), (s) => `grant_type=client_credentials&client_id=app&client_secret=${s}`);
  add("access_token in fragment", url(60), (s) => `http://localhost:3000/callback#access_token=${s}&token_type=bearer`);
  add(
    "signed url",
    hex(64),
    (s) => `https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=${s}`,
  );
  add("totp", b32(32), (s) => `otpauth://totp/Acme:me?secret=${s}&issuer=Acme`);
  add("prose passwd colon", "Blue-Kite-19", (s) => `Login: anna\nPasswort: ${s}\n`);
  add("linear", `lin_api_${an(40)}`, (s) => `linear ${s}`);
  add("notion", `ntn_${an(46)}`, (s) => `notion = Client(auth="${s}")`);
  add("airtable", `pat${an(14)}.${hex(64)}`, (s) => `airtable ${s}`);
  add("atlassian", `ATATT3xFfGF0${url(180)}=${HEX(8)}`, (s) => `jira -u me@acme.com:${s}`);
  add("asana", `2/${dig(16)}/${dig(16)}:${hex(32)}`, (s) => `asana_pat: ${s}`);
  add("figma", `figd_${url(40)}`, (s) => `figma ${s}`);
  add("shopify", `shpat_${hex(32)}`, (s) => `X-Shopify-Access-Token: ${s}`);
  add("square", `EAAA${url(60)}`, (s) => `square access ${s}`);
  add("paypal", `E${url(79)}`, (s) => `PAYPAL_SECRET=${s}`);
  add("plaid", `access-production-${uuid()}`, (s) => `plaid ${s}`);
  add("facebook", `EAA${an(150)}`, (s) => `https://graph.facebook.com/me?access_token=${s}`);
  add("mapbox secret", `sk.eyJ${url(70)}.${url(22)}`, (s) => `mapboxgl.accessToken = '${s}'`);
  add("algolia admin", hex(32), (s) => `algoliasearch("APPID12345", { adminApiKey: "${s}" })`);
  add("contentful", `CFPAT-${url(43)}`, (s) => `contentful ${s}`);
  add("dropbox", `sl.${url(136)}`, (s) => `dropbox token ${s}`);
  add("doppler", `dp.st.prd.${an(40)}`, (s) => `doppler ${s}`);
  add("1password sa", `ops_eyJ${url(250)}`, (s) => `OP_SERVICE_ACCOUNT_TOKEN=${s}`);
  add("bitwarden", `${uuid()}.${an(30)}:${b64(22)}==`, (s) => `BWS_ACCESS_TOKEN=0.${s}`);
  add("tailscale", `tskey-auth-${an(16)}-${an(32)}`, (s) => `tailscale up --authkey ${s}`);
  add("ngrok", `2${an(26)}_${an(21)}`, (s) => `ngrok config add-authtoken ${s}`);
  add("infura", hex(32), (s) => `https://mainnet.infura.io/v3/${s}`);
  add("alchemy", url(32), (s) => `ALCHEMY_KEY=${s}`);
  add("eth private key", `0x${hex(64)}`, (s) => `PRIVATE_KEY=${s}`);
  add("artifactory", `AKCp${an(69)}`, (s) => `curl -H "X-JFrog-Art-Api: ${s}"`);
  add("sonar", `squ_${hex(40)}`, (s) => `sonar-scanner -Dsonar.token=${s}`);
  add("circleci", `CCIPAT_${an(22)}_${hex(40)}`, (s) => `circleci setup --token ${s}`);
  add("buildkite", `bkua_${hex(40)}`, (s) => `bk ${s}`);
  add("codecov", uuid(), (s) => `bash <(curl -s https://codecov.io/bash) -t ${s}`);
  add("snyk", uuid(), (s) => `snyk auth ${s}`);
  add("posthog personal", `phx_${an(43)}`, (s) => `posthog ${s}`);
  add("segment write key", an(32), (s) => `SEGMENT_WRITE_KEY=${s}`);
  add("firebase fcm", `AAAA${url(7)}:APA91b${url(134)}`, (s) => `Authorization: key=${s}`);
  add(
    "confluent",
    b64(64),
    (s) =>
      `sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="K" password="${s}";`,
  );
  add("smtp url", "mA1lPass", (s) => `smtp://postmaster%40acme.com:${s}@smtp.mailgun.org:587`);
  add("git credentials", an(20), (s) => `https://me:${s}@gitea.acme.com`);
  add("gradle props", "signPass1", (s) => `signing.password=${s}`);
  add("android keystore", "storePw99", (s) => `    storePassword "${s}"\n    keyAlias "upload"`);
  add("maven settings passphrase", "gpg-Phr4se", (s) => `<gpg.passphrase>${s}</gpg.passphrase>`);
  add("dotnet user secret", an(30), (s) => `dotnet user-secrets set "Stripe:SecretKey" "${s}"`);
  add("cli arg list json", "Ax9-zebra", (s) => `["--user","root","--password","${s}"]`);
  add("python dict", an(28), (s) => `config = {'user': 'x', 'passwd': '${s}'}`);
  add("ruby hash", an(28), (s) => `config.secret_access_key => "${s}"`);
  add("go struct", an(28), (s) => `Config{APIKey: "${s}", Region: "eu"}`);
  add("toml", an(28), (s) => `[api]\ntoken = '${s}'`);
  add("php define", "Wp_dbPass!7", (s) => `define( 'DB_PASSWORD', '${s}' );`);
  add("wp salts", `|t*;X{k9~w${an(20)}#h+Q=`, (s) => `define('AUTH_KEY', '${s}');`);
  add("powershell", "Wint3r!Rdp", (s) => `$pw = ConvertTo-SecureString "${s}" -AsPlainText -Force`);
  add("windows setx", an(32), (s) => `setx API_KEY ${s}`);
  add("fish set", an(32), (s) => `set -gx GEMINI_API_KEY ${s}`);
  add("dockerfile env", an(20), (s) => `ENV DB_PASSWORD ${s}`);
  add("gh secret set", an(30), (s) => `gh secret set DEPLOY_TOKEN --body "${s}"`);
  add("heroku config", an(30), (s) => `heroku config:set SESSION_SECRET=${s}`);
  add("rdp cmdkey", "Rdp!Pass88", (s) => `cmdkey /add:server /user:admin /pass:${s}`);
  add("net use", "Sh4re!Pw", (s) => `net use Z: \\\\srv\\share /user:dom\\me ${s}`);
  add("wpa psk", "my wifi pass 77", (s) => `network={\n  ssid="home"\n  psk="${s}"\n}`);
  add("cisco", "C1sc0Pw!", (s) => `username admin privilege 15 secret 0 ${s}`);
  add("snmp", "c0mmun1ty!", (s) => `snmp-server community ${s} RO`);
  return forms;
}

function secondSet({ hex, HEX, low, up, an, b64, url, dig, b32, uuid }: Draw): LaterSecret[] {
  const { forms, add } = collector();
  add("ghp in remote", `ghp_${an(36)}`, (s) => `remote: https://x-access-token:${s}@github.com/o/r (fetch)`);
  add("ghp in python", `ghp_${an(36)}`, (s) => `g = Github("${s}")`);
  add(
    "gitlab trigger",
    `glptt-${hex(40)}`,
    (s) => `curl -X POST -F token=${s} -F ref=main https://gitlab.com/api/v4/projects/1/trigger/pipeline`,
  );
  add("gitlab job token header", `glcbt-64_${url(20)}`, (s) => `JOB-TOKEN: ${s}`);
  add(
    "gitlab private header",
    `glpat-${url(20)}`,
    (s) => `curl --header "PRIVATE-TOKEN: ${s}" https://gitlab.example.com`,
  );
  add("bitbucket app pw url", an(20), (s) => `git clone https://anna:${s}@bitbucket.org/acme/app.git`);
  add("aws in ini inline", b64(40), (s) => `s3:\n  access_key: AKIA${b32(16)}\n  secret_key: ${s}`);
  add("aws env export multi", b64(40), (s) => `AWS_ACCESS_KEY_ID=AKIA${b32(16)} AWS_SECRET_ACCESS_KEY=${s} aws s3 ls`);
  add(
    "aws boto3",
    b64(40),
    (s) => `boto3.client("s3", aws_access_key_id="AKIA${b32(16)}", aws_secret_access_key="${s}")`,
  );
  add(
    "aws configure prompt",
    b64(40),
    (s) => `AWS Access Key ID [None]: AKIA${b32(16)}\nAWS Secret Access Key [None]: ${s}`,
  );
  add("aws terraform", b64(40), (s) => `provider "aws" {\n  access_key = "AKIA${b32(16)}"\n  secret_key = "${s}"\n}`);
  add("minio env", "minioStrong77", (s) => `MINIO_ROOT_PASSWORD=${s}`);
  add(
    "gcs service account",
    b64(64),
    (s) =>
      `"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEv${b64(59)}\\n${s}\\n-----END PRIVATE KEY-----\\n",\n"client_email": "x@y.iam.gserviceaccount.com"`,
  );
  add(
    "firebase config",
    `AIza${url(35)}`,
    (s) => `firebase.initializeApp({ apiKey: "${s}", authDomain: "x.firebaseapp.com" })`,
  );
  add(
    "gemini curl",
    `AIza${url(35)}`,
    (s) => `curl "https://generativelanguage.googleapis.com/v1beta/models?key=${s}"`,
  );
  add("azure cosmos", b64(86) + "==", (s) => `AccountEndpoint=https://x.documents.azure.com:443/;AccountKey=${s};`);
  add("azure openai header", hex(32), (s) => `-H "api-key: ${s}"`);
  add("azure cognitive header", hex(32), (s) => `Ocp-Apim-Subscription-Key: ${s}`);
  add("azure function code", url(54) + "==", (s) => `https://acme.azurewebsites.net/api/hook?code=${s}`);
  add("azure app config", b64(43) + "=", (s) => `Endpoint=https://x.azconfig.io;Id=a-l0-s0:abc;Secret=${s}`);
  add("anthropic oauth", `sk-ant-oat01-${url(90)}`, (s) => `export CLAUDE_CODE_OAUTH_TOKEN=${s}`);
  add("anthropic python", `sk-ant-api03-${url(93)}AA`, (s) => `Anthropic(api_key='${s}')`);
  add("openai yaml", `sk-proj-${url(100)}`, (s) => `llm:\n  provider: openai\n  key: ${s}`);
  add("hf url", `hf_${an(34)}`, (s) => `https://user:${s}@huggingface.co/o/m`);
  add("together", hex(64), (s) => `TOGETHER_API_KEY=${s}`);
  add("fireworks", `fw_${an(24)}`, (s) => `FIREWORKS_API_KEY="${s}"`);
  add("serper json header", hex(40), (s) => `headers = {'X-API-KEY': '${s}', 'Content-Type': 'application/json'}`);
  add("brave header", `BSA${url(28)}`, (s) => `X-Subscription-Token: ${s}`);
  add("firecrawl", `fc-${hex(32)}`, (s) => `FirecrawlApp(api_key="${s}")`);
  add("exa", uuid(), (s) => `EXA_API_KEY=${s}`);
  add(
    "mcp json env",
    an(40),
    (s) => `{"mcpServers":{"x":{"command":"npx","args":["-y","x"],"env":{"X_API_KEY":"${s}"}}}}`,
  );
  add(
    "mcp json header",
    an(40),
    (s) => `{"mcpServers":{"x":{"type":"http","url":"https://x/mcp","headers":{"Authorization":"Bearer ${s}"}}}}`,
  );
  add("mcp args key", an(40), (s) => `"args": ["mcp-remote", "https://x/sse", "--header", "X-Api-Key:${s}"]`);
  add("mcp args dash", an(32), (s) => `"args": ["--api-key=${s}"]`);
  add("claude mcp add", an(36), (s) => `claude mcp add x -e X_TOKEN=${s} -- npx x`);
  add("stripe test in code", `sk_test_${an(24)}`, (s) => `const stripe = require('stripe')('${s}');`);
  add("paypal oauth -u", url(80), (s) => `curl -u "AZ${url(78)}:${s}" https://api.paypal.com/v1/oauth2/token`);
  add("slack config refresh", `xoxe-1-${an(146)}`, (s) => `refresh ${s}`);
  add("slack trigger", `${dig(11)}/${dig(13)}/${hex(32)}`, (s) => `https://hooks.slack.com/triggers/T0ABC/${s}`);
  add("telegram url", `${dig(10)}:AA${url(33)}`, (s) => `https://api.telegram.org/bot${s}/getMe`);
  add("discord env", `MT${an(24)}.G${an(5)}.${url(38)}`, (s) => `DISCORD_TOKEN=${s}`);
  add("twilio curl", hex(32), (s) => `curl -X POST https://api.twilio.com/2010 -u AC${hex(32)}:${s}`);
  add("sendgrid smtp", `SG.${url(22)}.${url(43)}`, (s) => `smtp_user: apikey\nsmtp_pass: ${s}`);
  add("npmrc scoped", `npm_${an(36)}`, (s) => `//npm.pkg.github.com/:_authToken="${s}"`);
  add("npmrc legacy", Buffer.from(`ci:${an(16)}`).toString("base64"), (s) => `_auth=${s}\nalways-auth=true`);
  add("yarnrc", an(40), (s) => `npmAuthToken: "${s}"`);
  add("pip index url", an(24), (s) => `pip install --index-url https://ci:${s}@pypi.acme.com/simple x`);
  add("poetry config", `pypi-AgEIcHlwaS5vcmc${url(120)}`, (s) => `poetry config pypi-token.pypi ${s}`);
  add("bundle config", an(30), (s) => `bundle config set gems.acme.com user:${s}`);
  add("composer auth", an(40), (s) => `{"github-oauth":{"github.com":"${s}"}}`);
  add("maven server pw", "mvnDeploy9x", (s) => `<password>${s}</password>`);
  add("gradle env", "gr4dleP4ss", (s) => `ORG_GRADLE_PROJECT_mavenPassword=${s}`);
  add("helm values", "pgAdmin#2026", (s) => `postgresql:\n  auth:\n    postgresPassword: "${s}"\n`);
  add("k8s stringData", "plainPw2026", (s) => `stringData:\n  DB_PASSWORD: ${s}`);
  add("k8s env value", an(20), (s) => `- name: REDIS_PASSWORD\n  value: "${s}"`);
  add("docker run -e", an(20), (s) => `docker run -e POSTGRES_PASSWORD=${s} -d postgres`);
  add("docker build arg", an(30), (s) => `docker build --build-arg NPM_TOKEN=${s} .`);
  add("docker login -p", an(20), (s) => `docker login -u me -p ${s} registry.acme.com`);
  add("ansible vault inline", "an5ibleV!", (s) => `db_pass: '${s}'`);
  add("salt pillar", "s4ltP1llar", (s) => `mysql.pass: ${s}`);
  add("vagrant", "v4grantPw", (s) => `config.ssh.password = "${s}"`);
  add("pulumi config", an(30), (s) => `pulumi config set --secret dbPassword ${s}`);
  add("circle env", an(40), (s) => `CIRCLE_TOKEN: ${s}`);
  add("jenkins user token", `11${hex(32)}`, (s) => `curl -u admin:${s} https://ci.acme.com/job/x/build`);
  add("sonar login", `squ_${hex(40)}`, (s) => `-Dsonar.login=${s}`);
  add("nexus basic", Buffer.from("admin:Adm1n2026x").toString("base64"), (s) => `Proxy-Authorization: Basic ${s}`);
  add("token auth scheme", hex(40), (s) => `Authorization: Token ${s}`);
  add("apikey scheme", b64(60) + "==", (s) => `Authorization: ApiKey ${s}`);
  add("jwt cookie", `eyJhbGciOiJIUzI1NiJ9.eyJ${url(80)}.${url(43)}`, (s) => `document.cookie = "jwt=${s}; path=/"`);
  add("session cookie json", an(40), (s) => `{"cookies":[{"name":"session","value":"${s}","domain":".acme.com"}]}`);
  add("playwright storage", url(60), (s) => `{"name":"auth_token","value":"${s}","httpOnly":true}`);
  add("localStorage", url(60), (s) => `localStorage.setItem("access_token", "${s}")`);
  add("har header", an(40), (s) => `{"name":"X-Auth-Token","value":"${s}"}`);
  add("refresh json", url(60), (s) => `{"access_token":"${an(50)}","refresh_token":"${s}","scope":"a"}`);
  add("id_token", `eyJhbGciOiJSUzI1NiJ9.eyJ${url(120)}.${url(86)}`, (s) => `id_token=${s}`);
  add("oauth code url", url(60), (s) => `http://localhost:8080/cb?code=${s}&state=xyz`);
  add("magic link", url(43), (s) => `https://app.acme.com/magic?token=${s}`);
  add("reset link", hex(64), (s) => `https://app.acme.com/reset-password?reset_token=${s}`);
  add("db url python", an(12), (s) => `create_engine("postgresql+psycopg2://app:${s}@db/app")`);
  add("db url special", "p%40ss%2Fw0rd", (s) => `DATABASE_URL=mysql2://root:${s}@10.0.0.1/app`);
  add("clickhouse url", an(16), (s) => `clickhouse://default:${s}@ch:9000/db`);
  add("ftp url", an(10), (s) => `ftp://anna:${s}@ftp.acme.com/in`);
  add("ado.net", "S3rver!Pw9", (s) => `Data Source=db;Initial Catalog=app;User Id=app;Password=${s}`);
  add("odbc", "0dbcPw77", (s) => `Driver={ODBC Driver 18};Server=db;UID=app;PWD=${s};`);
  add("oracle sqlplus", "0raPass1", (s) => `sqlplus scott/${s}@//db:1521/orcl`);
  add("mysql defaults", "My5qlPw!", (s) => `[mysqldump]\npassword = ${s}`);
  add("create user", "cr3ateMe!", (s) => `CREATE USER app WITH PASSWORD '${s}';`);
  add("alter role", "alt3rMe99", (s) => `ALTER ROLE app ENCRYPTED PASSWORD '${s}';`);
  add("identified by", "0rcl#2026", (s) => `ALTER USER x IDENTIFIED BY "${s}";`);
  add("grant", "gr4ntPw9", (s) => `GRANT ALL ON *.* TO 'a'@'%' IDENTIFIED BY '${s}';`);
  add("mongo shell", "m0ngoPw9", (s) => `db.createUser({user: "a", pwd: "${s}", roles: []})`);
  add("redis auth", "r3disAuthPw", (s) => `redis-cli -h r -a ${s} ping`);
  add("requirepass", "r3quireMe99", (s) => `requirepass ${s}`);
  add("rabbit", "r4bbitPw1", (s) => `rabbitmqctl add_user app ${s}`);
  add("useradd chpasswd", "ch4ngeMe88x", (s) => `echo "root:${s}" | chpasswd`);
  add("htpasswd -b", "htPw2026", (s) => `htpasswd -b .htpasswd admin ${s}`);
  add("smbclient", "smbPw2026", (s) => `smbclient //srv/share -U anna%${s}`);
  add("mount cifs", "c1fsPw77", (s) => `mount -t cifs //s/x /mnt -o username=a,password=${s}`);
  add("rsync password", "rsyncPw9", (s) => `RSYNC_PASSWORD=${s} rsync a b`);
  add("restic", "rest1cPw!", (s) => `export RESTIC_PASSWORD='${s}'`);
  add("gpg passphrase", "gpgPhrase77", (s) => `gpg --batch --passphrase ${s} -d x.gpg`);
  add("openssl pkcs12", "p12Secret9", (s) => `openssl pkcs12 -export -passout pass:${s} -in c`);
  add("keytool", "keyt00lPw", (s) => `keytool -genkey -storepass ${s} -keypass ${s}`);
  add("vpn", "vpnPw2026", (s) => `echo ${s} | openconnect --passwd-on-stdin vpn.acme.com`);
  add("ssh-keygen -N", "n3wPhrase!", (s) => `ssh-keygen -t ed25519 -N '${s}' -f k`);
  add("expect send", "3xpectPw!", (s) => `expect "Password:"\nsend "${s}\\r"`);
  add("log line", an(32), (s) => `2026-11-29 INFO using api_key=${s} for region eu`);
  add("debug dump", an(24), (s) => `Config { host: "db", password: "${s}", port: 5432 }`);
  add("python repr", an(24), (s) => `Settings(user='x', secret_key='${s}')`);
  add("node inspect", an(24), (s) => `{ username: 'x', password: '${s}' }`);
  add("go spew", an(24), (s) => `Password: (string) (len=24) "${s}",`);
  add("ruby inspect", an(24), (s) => `{:user=>"x", :password=>"${s}"}`);
  add("php array", an(24), (s) => `'password' => '${s}',`);
  add("lua", an(24), (s) => `local api_key = "${s}"`);
  add("perl", an(24), (s) => `my $password = '${s}';`);
  add("swift", an(24), (s) => `let apiKey: String = "${s}"`);
  add("kotlin", an(24), (s) => `val clientSecret = "${s}"`);
  add("rust", an(24), (s) => `const API_TOKEN: &str = "${s}";`);
  add("c define", an(24), (s) => `#define WIFI_PASSWORD "${s}"`);
  add("java props esc", an(24), (s) => `jdbc.password=${s}\n`);
  add("scala conf", an(24), (s) => `secret = "${s}"`);
  add("elixir", b64(64), (s) => `config :app, secret_key_base: "${s}"`);
  add("clojure", an(24), (s) => `{:db {:password "${s}"}}`);
  add("hcl heredoc", an(24), (s) => `admin_password = "${s}"`);
  add("nix", an(24), (s) => `networks."home".psk = "${s}";`);
  add("toml inline", an(24), (s) => `db = { user = "a", password = "${s}" }`);
  add("ini upper", an(24), (s) => `[auth]\nClientSecret = ${s}`);
  add("csv row", an(24), (s) => `name,password\nanna,${s}`);
  add("markdown table", "Tabl3Pw!x", (s) => `| user | password |\n| --- | --- |\n| anna | ${s} |`);
  add("markdown list", "l1stPw!88", (s) => `- **Password:** \`${s}\``);
  add("prose is", "Kiwi!7788", (s) => `The admin password is ${s}, please change it.`);
  add("prose quoted", "Apple#Tree9", (s) => `use "${s}" as the password`);
  add("german", "Gr0sser!Hund", (s) => `Das Passwort lautet: ${s}`);
  add("french", "ChatN0ir!", (s) => `mot de passe : ${s}`);
  add("chat user pass", "pw9!xyzab", (s) => `user: admin\npass: ${s}`);
  add("slash creds", "Adm!n2026", (s) => `login admin / ${s}`);
  add("ssh config pw", "5shPw!77", (s) => `sshpass -p ${s} scp a b:`);
  add(
    "pem in yaml",
    b64(64),
    (s) => `tls.key: |\n  -----BEGIN RSA PRIVATE KEY-----\n  ${b64(64)}\n  ${s}\n  -----END RSA PRIVATE KEY-----`,
  );
  add(
    "pem base64 k8s",
    Buffer.from(`-----BEGIN PRIVATE KEY-----\n${b64(64)}\n-----END PRIVATE KEY-----`).toString("base64"),
    (s) => `tls.key: ${s}`,
  );
  add("ec param key", b64(64), (s) => `-----BEGIN EC PRIVATE KEY-----\n${s}\n-----END EC PRIVATE KEY-----`);
  add(
    "putty",
    b64(64),
    (s) =>
      `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\n${s}\nPrivate-MAC: ab`,
  );
  add("solana key", `[${Array.from({ length: 64 }, () => Number(dig(2))).join(",")}]`, (s) => `"secretKey": ${s}`);
  add("eth mnemonic env", an(30), (s) => `DEPLOYER_PRIVATE_KEY=${s}`);
  add("wg preshared", b64(43) + "=", (s) => `PresharedKey = ${s}`);
  add("totp env", b32(32), (s) => `TOTP_SECRET=${s}`);
  add("otp backup", `${low(5)}-${low(5)}`, (s) => `recovery codes:\n${s}`);
  add("sentry", `sntrys_eyJ${b64(120)}_${b64(43)}`, (s) => `SENTRY_AUTH_TOKEN=${s}`);
  add("datadog py", hex(40), (s) => `initialize(api_key="${hex(32)}", app_key="${s}")`);
  add("newrelic ini", `${hex(36)}NRAL`, (s) => `license_key = ${s}`);
  add("pagerduty integration", hex(32), (s) => `routing_key: ${s}`);
  add("grafana basic", "gr4f4naPw", (s) => `GF_SECURITY_ADMIN_PASSWORD=${s}`);
  add("influx token", url(86) + "==", (s) => `INFLUX_TOKEN=${s}`);
  add("elastic url", an(20), (s) => `ELASTICSEARCH_URL=https://elastic:${s}@es:9243`);
  add("elastic apikey", b64(58) + "==", (s) => `es = Elasticsearch(api_key="${s}")`);
  add("cloudinary", an(27), (s) => `CLOUDINARY_URL=cloudinary://123456789012345:${s}@acme`);
  add("pusher", hex(20), (s) => `PUSHER_APP_SECRET=${s}`);
  add("zendesk", an(40), (s) => `anna@acme.com/token:${s}`);
  add("hubspot", `pat-na1-${uuid()}`, (s) => `hapikey ${s}`);
  add("salesforce", an(24), (s) => `SF_SECURITY_TOKEN=${s}`);
  add("jira basic url", an(24), (s) => `https://anna%40acme.com:${s}@acme.atlassian.net`);
  add("trello", `ATTA${hex(64)}`, (s) => `https://api.trello.com/1/boards?key=${hex(32)}&token=${s}`);
  add("spotify", hex(32), (s) => `SPOTIPY_CLIENT_SECRET='${s}'`);
  add("twitter", an(45), (s) => `TWITTER_ACCESS_TOKEN_SECRET=${s}`);
  add("openweather", hex(32), (s) => `https://api.openweathermap.org/data?q=x&appid=${s}`);
  add("steam", HEX(32), (s) => `STEAM_API_KEY=${s}`);
  add("age in env", `AGE-SECRET-KEY-1${up(58)}`, (s) => `SOPS_AGE_KEY=${s}`);
  add("vault approle", uuid(), (s) => `vault write auth/approle/login role_id=${uuid()} secret_id=${s}`);
  add("vault root prose", `hvs.${an(24)}`, (s) => `Initial Root Token: ${s}`);
  add("consul", uuid(), (s) => `CONSUL_HTTP_TOKEN=${s}`);
  add("nomad header", uuid(), (s) => `X-Nomad-Token: ${s}`);
  add("argo", "arg0Pw!xy", (s) => `argocd login cd.acme.com --username admin --password ${s}`);
  add("gh auth", `gho_${an(36)}`, (s) => `github.com:\n    oauth_token: ${s}\n    user: anna`);
  add("cf r2", hex(64), (s) => `R2_SECRET_ACCESS_KEY=${s}`);
  add("b2", `K00${an(28)}`, (s) => `B2_APPLICATION_KEY=${s}`);
  add("rclone", an(32), (s) => `[remote]\ntype = s3\nsecret_access_key = ${s}`);
  add("tailscale oauth", `tskey-client-${an(11)}-${an(32)}`, (s) => `TS=${s}`);
  add("zerotier", an(32), (s) => `Authorization: token ${s}`);
  add("home assistant", `eyJhbGciOiJIUzI1NiJ9.eyJ${url(80)}.${url(43)}`, (s) => `long_lived_access_token: ${s}`);
  add("esphome", b64(43) + "=", (s) => `api:\n  encryption:\n    key: "${s}"`);
  add("mqtt", "mqttPw77", (s) => `mosquitto_pub -u a -P ${s} -t x -m y`);
  add("snmpv3", "snmpAuth9", (s) => `snmpwalk -v3 -u a -A ${s} -l authNoPriv h`);
  add("ldap yaml", "b1ndMe!99", (s) => `bind_password: ${s}`);
  add("smtp laravel", "ma1lPw!9", (s) => `MAIL_PASSWORD="${s}"`);
  add("django db", "dj4ngoPw", (s) => `'PASSWORD': '${s}',`);
  add("wp-config", "wpP4ss!w", (s) => `define('DB_PASSWORD', "${s}");`);
  add("drupal", url(74), (s) => `$settings['hash_salt'] = '${s}';`);
  add(
    "asp.net",
    "4spNetPw!",
    (s) => `"ConnectionStrings": {"Default": "Server=.;Database=a;User Id=sa;Password=${s};"}`,
  );
  return forms;
}

const { hex, an, b64, up, uuid } = drawing(new Random(1));

/** Texts that speak of secrets or look like them. */
export const laterHarmless: [form: string, text: string][] = [
  ["git log", `commit ${hex(40)}\nAuthor: A <a@b.c>\nDate: Sat Nov 28`],
  ["uuid", `conversation ${uuid()} has 12 turns`],
  ["sha256sum", `${hex(64)}  dewey.tar.gz`],
  ["docker digest", `image: postgres@sha256:${hex(64)}`],
  ["npm integrity", `"integrity": "sha512-${b64(86)}=="`],
  ["go.sum", `golang.org/x/net v0.30.0 h1:${b64(43)}=`],
  ["yarn lock", `resolved "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#${hex(40)}"`],
  ["cargo lock", `checksum = "${hex(64)}"`],
  ["ssh pub", `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${b64(43)} me@host`],
  ["cert", `-----BEGIN CERTIFICATE-----\n${b64(64)}\n${b64(64)}\n-----END CERTIFICATE-----`],
  ["pub key", `-----BEGIN PUBLIC KEY-----\n${b64(64)}\n-----END PUBLIC KEY-----`],
  ["fingerprint", `SHA256:${b64(43)} me@host (ED25519)`],
  ["base64 image", `data:image/png;base64,iVBORw0KGgo${b64(300)}`],
  ["css hash", `app.${hex(8)}.chunk.css`],
  ["etag", `ETag: "${hex(32)}"`],
  ["trace", `traceparent: 00-${hex(32)}-${hex(16)}-01`],
  ["request id", `x-request-id: ${uuid()}`],
  ["aws arn", `arn:aws:iam::123456789012:role/deploy-role`],
  ["vpc", `vpc-0${hex(16)} subnet-0${hex(16)}`],
  ["s3 key", `s3://bucket/2026/11/29/part-00000-${uuid()}.snappy.parquet`],
  ["prose password", "The password must have at least 12 characters and one digit."],
  ["prose token", "Each token costs about four characters; the limit is 25,000 tokens."],
  ["prose secret", "The secret of good tests is that they can fail."],
  ["question", "How do I reset my password if I forgot it?"],
  ["key of success", "The key: write small functions."],
  ["placeholder", "API_KEY=your-api-key-here"],
  ["placeholder angle", "export TOKEN=<your token>"],
  ["placeholder xxx", "password: xxxxxxxx"],
  ["placeholder var", "password: ${DB_PASSWORD}"],
  ["placeholder jinja", "password: {{ vault_db_password }}"],
  ["env reference", "const apiKey = process.env.OPENAI_API_KEY;"],
  ["python env", `api_key=os.environ["OPENAI_API_KEY"]`],
  ["github actions", "token: ${{ secrets.GITHUB_TOKEN }}"],
  ["rails creds", "secret_key_base: <%= ENV['SECRET_KEY_BASE'] %>"],
  ["shell default", `TOKEN="\${TOKEN:-}"`],
  ["function", "function validatePassword(password: string): boolean {"],
  ["type", "interface Login { username: string; password: string }"],
  ["zod", "password: z.string().min(12),"],
  ["sql column", "password_hash varchar(255) NOT NULL,"],
  ["test name", "it('rejects a wrong password', async () => {"],
  ["call", "const token = await getToken(user);"],
  ["assign", "this.token = token;"],
  ["header name", "if (!request.headers['x-api-key']) return 401;"],
  ["django", "password = models.CharField(max_length=128)"],
  ["null", `"password": null`],
  ["bool", `"password": true`],
  ["token counts", `"usage":{"prompt_tokens":1234,"completion_tokens":567,"total_tokens":1801}`],
  ["max_tokens", `max_tokens: 4096`],
  ["token budget", `token_budget = 200000`],
  ["tokens per sec", "tokens/s: 83.2"],
  ["key code", `keyCode: 13, key: "Enter"`],
  ["primary key", "primary_key: conversation_id"],
  ["foreign key", "FOREIGN KEY (conversation_id) REFERENCES conversations"],
  ["key bindings", `{"key": "ctrl+shift+p", "command": "workbench.action.showCommands"}`],
  ["cache key", "cache-key: node-modules-linux-x64-v3"],
  ["author", "author: Jane Doe <jane@example.com>"],
  ["auth type", `auth: none`],
  ["authorization prose", "Authorization is checked in src/mcp/listener.ts."],
  ["basic usage", "Basic usage: dewey serve --port 9000"],
  ["bearer prose", "The bearer of good news arrived."],
  ["url", "https://example.com/docs/authentication?page=2#tokens"],
  ["url user", "ssh://git@github.com:22/acme/app.git"],
  ["at in path", "https://medium.com/@anna/how-to-keep-secrets-1a2b3c4d5e6f"],
  ["npm scope", "https://registry.npmjs.org/@types%2fnode"],
  ["port map", "redis://localhost:6379/0"],
  ["long ident", "AbstractSingletonProxyFactoryBeanConfigurationManager"],
  ["snake", "test_that_a_very_long_function_name_is_not_taken_for_a_secret_value"],
  ["path", "/usr/lib/x86_64-linux-gnu/gtk-3.0/modules/libcanberra-gtk-module.so"],
  ["java class", "org.springframework.security.oauth2.provider.token.store.JwtTokenStore"],
  ["base64 word", "echo aGVsbG8gd29ybGQ= | base64 -d"],
  ["version", "dewey 0.1.0+build.20261129.abcdef1"],
  ["ip", "fe80::1ff:fe23:4567:890a%eth0"],
  ["mac", "00:1A:2B:3C:4D:5E"],
  ["isbn", "ISBN 978-3-16-148410-0"],
  ["phone", "+49 30 1234567890"],
  ["timestamp", "2026-11-29T08:42:34.123456789Z"],
  ["hexdump", "00000000  7f 45 4c 46 02 01 01 00  00 00 00 00 00 00 00 00  |.ELF............|"],
  ["color", "--accent: #1a2b3c4d;"],
  ["svg path", "M12.5 3.2c-1.1.3-2.4 1.9-2.4 3.3s.9 2.7 2.1 3.1"],
  ["regex", "/^sk-[A-Za-z0-9]{48}$/"],
  ["error line", "error: invalid token at line 42, column 7: unexpected identifier"],
  ["jwt error", "JsonWebTokenError: jwt malformed"],
  ["401", `{"error":"invalid_token","error_description":"The access token expired"}`],
  ["password incorrect", 'psql: FATAL: password authentication failed for user "app"'],
  ["permission", "Permission denied (publickey,password)."],
  ["login page", `<input type="password" name="password" placeholder="Password" autocomplete="current-password">`],
  ["i18n", `"login.password": "Password", "login.forgot": "Forgot your password?"`],
  ["i18n de", `"password_label": "Bitte geben Sie Ihr Passwort ein"`],
  ["docs table", "| `DEWEY_TOKEN` | a token that clients must present | none |"],
  ["flag help", "--password <PASSWORD>   password of the database user"],
  ["csv header", "id,username,password,created_at"],
  [
    "graphql",
    "mutation Login($email: String!, $password: String!) { login(email: $email, password: $password) { token } }",
  ],
  ["openapi", "securitySchemes:\n  bearerAuth:\n    type: http\n    scheme: bearer\n    bearerFormat: JWT"],
  ["cookie policy", "Cookie: we use cookies to improve your experience."],
  ["session", "session: 2026-11-29 morning stand-up"],
  ["masked", "password: ********"],
  ["masked key", "key sk-...abcd is invalid"],
  ["diff", `-  token: string;\n+  token: string | undefined;`],
  ["k8s ref", "secretKeyRef:\n  name: db-credentials\n  key: password"],
  ["secret name", "secretName: tls-wildcard-acme-com"],
  ["login sentence", "login and logout work, see auth middleware for the authentication flow"],
  ["auth path", "auth src/middleware/authentication-and-authorization.ts"],
  ["user flag", "docker run --user 1000:1000 -v /a:/b image"],
  ["user set", "ENV NODE_ENV production"],
  ["env path", "ENV PATH /usr/local/sbin:/usr/local/bin:/usr/sbin"],
  ["arg", "ARG GO_VERSION=1.24.1"],
  ["set var", "set -euo pipefail"],
  ["set option", "set nocompatible"],
  ["set key", "set key 1000"],
  ["secret keyword", "secret 5 is stored hashed on the device"],
  ["grep out", "src/a.ts:5432:10: warning: unused variable foo1"],
  ["stack", "    at Object.<anonymous> (/app/dist/server.js:1432:17)"],
  ["nginx log", '10.0.0.1 - - [29/Nov/2026:10:00:00 +0000] "GET /login HTTP/1.1" 200 1234'],
  ["ipv4 list", "db1:5432:up:primary:2026-11-29"],
  ["mac table", "host1:8080:healthy:0"],
  ["i18n", "password.too_short=Password is too short"],
  ["i18n2", "login.password.label=Your password"],
  ["properties", "spring.datasource.password=${DB_PASSWORD}"],
  ["properties2", "server.error.include-message=always"],
  ["prop class", "security.password.encoder=bcrypt"],
  ["python", "self.password=hashed"],
  ["js", "user.token = generateToken()"],
  ["js2", "this.secret=secret"],
  ["ts", "const { password, ...rest } = user;"],
  ["go", "func (c *Client) SetToken(token string) {"],
  ["list names", `["username", "password", "token", "apiKey"]`],
  ["list types", `("password", "string")`],
  ["columns", "'password', 'remember_token',"],
  ["hidden", "protected $hidden = ['password', 'remember_token'];"],
  ["fields", `fields = ("email", "password1", "password2")`],
  ["hash prose", "bcrypt hashes start with $2b$ and have 60 characters"],
  ["jwt prose", "a JWT has three parts: header.payload.signature"],
  ["header doc", "Authorization: Bearer <token>"],
  ["header doc 2", "Authorization: Basic base64(user:password)"],
  ["curl doc", "curl -u user:password https://api.example.com"],
  ["url doc", "postgres://user:password@localhost:5432/db"],
  ["url doc 2", "redis://:password@localhost:6379"],
  ["slack doc", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"],
  ["stripe doc", "sk_test_..."],
  ["aws doc", "AKIAIOSFODNN7EXAMPLE"],
  ["cert sha", "SHA256 Fingerprint=AB:CD:EF:01:23:45:67:89"],
  ["git", "index 3f2a1bc..9d8e7f6 100644"],
  ["gh run", "https://github.com/o/r/actions/runs/12345678901/job/34567890123"],
  ["npm tarball", "https://registry.npmjs.org/zod/-/zod-4.6.7.tgz"],
  ["docker layer", `sha256:${hex(64)}: Pull complete`],
  ["k8s pod", "dewey-serve-7d9f8b6c5d-x2x4z 1/1 Running"],
  ["s3 version", `x-amz-version-id: ${an(32)}`],
  ["amz request", `x-amz-request-id: ${up(16)}`],
  ["trace id", `"traceId":"${hex(32)}","spanId":"${hex(16)}"`],
  ["sentry event", `event_id: ${hex(32)}`],
  ["toolu", `"tool_use_id":"toolu_01${an(22)}"`],
  ["msg", `"id":"msg_01${an(22)}"`],
  ["call", `"call_id":"call_${an(24)}"`],
  ["req", `request_id: req_011${an(21)}`],
  ["session prose", "session tokens expire after an hour"],
  ["usage", `"cache_creation_input_tokens":12345,"output_tokens":67`],
  ["max token", `"max_output_tokens": 8192`],
  ["tokenizer", "tokenizer: cl100k_base"],
  ["ctx key", `ctx.Value("user-key")`],
  ["redis key", "redis key user:1234:profile"],
  ["sort key", `sortKey: "created_at#2026-11-29T10:00:00Z"`],
  ["partition", `partition_key=tenant-00042`],
  ["map key", `{"key":"settings.theme","value":"dark-high-contrast"}`],
  ["kv", `{"name":"region","value":"eu-central-1"}`],
  ["label", `{"key":"app.kubernetes.io/name","value":"dewey-0a1b2c3d4e5f"}`],
  ["pin", "pin the version to 1.2.3"],
  ["pinned", "pinned: 12"],
  ["code", "code: ECONNREFUSED"],
  ["otp erl", "Erlang/OTP 27 [erts-15.0]"],
  ["signature", "function signature: (a: string, b: number) => void"],
  ["pass prose", "tests pass: 1234"],
  ["pass count", "pass 217\nfail 0"],
  ["first pass", "first pass: tokenise; second pass: rank"],
  ["passive", "passive_mode: true"],
  ["compass", "compass: NW"],
  ["author token", "author: Token Ring"],
  ["keyboard", "Keyboard: QWERTY-US-104"],
  ["monkey", "monkey: see123do456"],
  ["cookie doc", "Set-Cookie: theme=dark; Path=/"],
  ["cookie ga", "Cookie: _ga=GA1.2.1234567890.1234567890"],
  ["mailchimp ish", "server-us12 is in the rack"],
  ["us", `build-${hex(12)}-us1`],
  ["ac hex", `ACK ${hex(32)}`],
  ["apikey name", "the header x-api-key must be set"],
  ["community", "community edition is free"],
  ["net use", "net use Z: /delete"],
  ["authn", "auth required for this route"],
  ["login url", "login https://example.com/login?next=%2Fdashboard"],
  ["auth uuid-like", "auth 550e8400"],
  ["plist", "<key>CFBundleIdentifier</key>\n<string>com.acme.dewey-app2</string>"],
  ["plist2", "<key>NSAppTransportSecurity</key>\n<dict/>"],
  ["xml name", "<name>password</name>\n<type>string</type>"],
  ["html", `<label for="password">Password</label>`],
  ["svn", "Revision: 12345"],
  ["store pw", 'storePassword System.getenv("STORE_PASSWORD")'],
];
