import { execFile } from "node:child_process";
import { mkdir, readdir, realpath, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { build } from "tsdown";
import { removeFolder, temporaryFolder } from "./folders.ts";

const ROOT = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** What users of our packages have in node_modules besides them. */
const PEERS = [
  "@apollo/client",
  "@urql/core",
  "express",
  "fastify",
  "graphql",
  "graphql-sse",
  "graphql-ws",
  "hono",
  "jose",
  "react",
  "react-dom",
  "relay-runtime",
  "rxjs",
  "socket.io",
  "urql",
  "ws",
];

export interface ScratchProject {
  readonly folder: string;
  /** The path of what `npm pack` made. */
  readonly tarball: string;
  /** The files of the package. */
  readonly files: readonly string[];
  readonly remove: () => Promise<void>;
}

/**
 * An empty project that has one of our packages packed, as `npm install` unpacks it, and the libraries it goes with. Those are links
 * to the ones that are installed here, so that nothing is downloaded.
 */
export async function installPacked(name: "client" | "verifier"): Promise<ScratchProject> {
  // Not under the project, or what is missing in the package would be found there.
  const folder = await temporaryFolder("scratch");
  await build({ config: join(ROOT, "tsdown.config.ts"), logLevel: "silent" });
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    cwd: join(ROOT, "src", name),
  });
  const packed: unknown = JSON.parse(stdout);
  const [{ filename }] = Object.values(packed as Record<string, { filename: string }>) as [
    { filename: string },
  ];
  const place = join(folder, "node_modules/@live-logout", name);
  await mkdir(place, { recursive: true });
  const tarball = join(folder, filename);
  await run("tar", ["xzf", tarball, "--strip-components=1", "-C", place]);
  for (const peer of PEERS) {
    const link = join(folder, "node_modules", peer);
    await mkdir(dirname(link), { recursive: true });
    await symlink(await realpath(join(ROOT, "node_modules", peer)), link);
  }
  const files = (await readdir(place, { recursive: true })).toSorted();
  return { folder, tarball, files, remove: () => removeFolder(folder) };
}

export interface TypeProblem {
  readonly kind: string;
  readonly resolutionKind?: string;
}

/** What arethetypeswrong finds in a tarball. In a process of its own: vitest's resolution would load its sources. */
export async function findTypeProblems(tarball: string): Promise<readonly TypeProblem[]> {
  const script = `
    import { readFile } from "node:fs/promises";
    import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
    const { types, problems } = await checkPackage(createPackageFromTarballData(await readFile(process.argv[1])));
    if (!types) throw new Error("the package has no types");
    console.log(JSON.stringify(problems));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script, tarball], {
    cwd: ROOT,
    env: { PATH: process.env["PATH"] },
  });
  return JSON.parse(stdout) as readonly TypeProblem[];
}
