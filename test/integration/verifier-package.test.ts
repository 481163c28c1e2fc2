import { join } from "node:path";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findTypeProblems, installPacked, type ScratchProject, type TypeProblem } from "../kit/packed.ts";

describe("the verifier's package", () => {
  let project: ScratchProject;
  beforeAll(async () => {
    project = await installPacked("verifier");
  });
  afterAll(() => project.remove());

  test("holds its entries with their types, and no sources", () => {
    for (const entry of ["verifier", "http", "express", "fastify", "hono", "ws", "graphql-ws", "socket-io"]) {
      expect(project.files).toContain(`dist/${entry}.js`);
      expect(project.files).toContain(`dist/${entry}.d.ts`);
    }
    expect(project.files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))).toEqual([]);
  });

  test("satisfies publint, and has types that resolve (arethetypeswrong)", async () => {
    const { messages } = await publint({
      pkgDir: join(project.folder, "node_modules/@live-logout/verifier"),
    });
    expect(messages).toEqual([]);
    const isExpected = ({ kind, resolutionKind = "" }: TypeProblem) =>
      /^(CJSResolvesToESM|NoResolution)$/.test(kind) && /^node(10|16-cjs)$/.test(resolutionKind);
    const problems = await findTypeProblems(project.tarball);
    expect(problems.filter((problem) => !isExpected(problem))).toEqual([]);
  });
});
