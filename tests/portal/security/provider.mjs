// A real provider of identities for tests: oidc-provider, with three people and one client.
// Its argument is the portal's origin; it says its own on standard output.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";

const installed = createRequire(`${process.cwd()}/`).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(installed));
const portal = process.argv[2];
const groups = { anna: ["bus-admins", "staff"], bert: ["bus-readers"], carla: ["staff"] };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "stadtbus",
        client_secret: "for tests alone",
        redirect_uris: [`${portal}/login/back`],
        post_logout_redirect_uris: [`${portal}/login`],
      },
    ],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: `${id}@town`, groups: groups[id] ?? [] }),
    }),
    pkce: { required: () => true },
    cookies: { keys: ["for tests alone"] },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
