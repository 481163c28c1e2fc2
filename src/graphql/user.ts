import { validate as isUuid } from "uuid";
import type { Prisma, User } from "../database/generated/client.ts";
import type { Snapshot } from "../revocation/snapshot.ts";
import { activeSessions } from "../sessions/active.ts";
import { type Capability, SERVICE_ROLE, type UserStatus } from "../users/roles.ts";
import { builder } from "./builder.ts";
import { requireCapability, requireViewer } from "./context.ts";
import { forbidden } from "./errors.ts";
import { checkPageSize, checkText, MAX_PAGE_SIZE, TOTAL_COUNT } from "./paging.ts";

export const RoleEnum = builder.enumType("Role", {
  description: "What a user may do beyond their own sessions.",
  values: {
    USER: { description: "Sees and ends their own sessions." },
    SUPPORT: { description: "Also sees and ends anybody's sessions." },
    ADMIN: { description: "Also changes the roles and the status of users." },
  },
});

/** The role as the enum wants it, which also has the values that the setting `ROLES` adds. */
type BuiltInRole = typeof RoleEnum.$inferType;

const CapabilityEnum = builder.enumType("Capability", {
  description: "Something that a role allows beyond one's own sessions.",
  values: {
    READ_ANY_SESSIONS: { value: "readAnySessions", description: "To see everybody's sessions and the log." },
    END_ANY_SESSIONS: { value: "endAnySessions", description: "To end anybody's sessions." },
    END_SESSIONS_BY_POLICY: {
      value: "endSessionsByPolicy",
      description: "To end all sessions that fit a filter.",
    },
    ADMINISTER_SERVICES: {
      value: "administerServices",
      description: "To make and revoke service accounts, and receivers of events.",
    },
    CHANGE_USERS: { value: "changeUsers", description: "To change the roles and the status of users." },
  } satisfies Record<string, { value: Capability; description: string }>,
});

export const UserStatusEnum = builder.enumType("UserStatus", {
  description: "Whether a user may log in.",
  values: {
    ACTIVE: { description: "May log in." },
    DEACTIVATED: { description: "May not log in; all sessions were ended." },
  } satisfies Record<UserStatus, { description: string }>,
});

export const UserObject = builder.prismaObject("User", {
  description: "A person with an email, a password, a role and a status.",
  fields: (t) => ({
    id: t.exposeID("id", { description: "A UUID." }),
    email: t.exposeString("email", { description: "In lower case; unique." }),
    name: t.exposeString("name", { description: "As they wrote it." }),
    role: t.field({
      type: RoleEnum,
      description: "What they may do.",
      // One that this service does not know, written by plain SQL, may do nothing, and reads so.
      resolve: (user, _args, { roles }) =>
        (roles.names.includes(user.role) ? user.role : "USER") as BuiltInRole,
    }),
    capabilities: t.field({
      type: [CapabilityEnum],
      description: "What their role allows.",
      resolve: (user, _args, { roles }) => roles.of(user.role),
    }),
    status: t.field({
      type: UserStatusEnum,
      description: "Whether they may log in.",
      resolve: (user) => user.status as UserStatus,
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When they signed up." }),
    sessions: t.prismaField({
      type: ["Session"],
      description: "Their active sessions, last seen first. For themself, SUPPORT and ADMIN.",
      resolve: (query, user, _args, context) => {
        const viewer = requireViewer(context);
        if (user.id !== viewer.user.id && !context.roles.can(viewer.user.role, "readAnySessions"))
          throw forbidden();
        return context.prisma.session.findMany({
          ...query,
          where: { userId: user.id, ...activeSessions(context.now(), context.rules) },
          orderBy: [{ lastSeenAt: "desc" }, { id: "desc" }],
        });
      },
    }),
  }),
});

/** What stays of a user who was deleted while the log still tells of them. */
export function deletedUser(id: string): User {
  return {
    id,
    email: "",
    name: "Deleted user",
    role: "USER",
    status: "DEACTIVATED",
    passwordHash: "",
    credentialVersion: 0,
    createdAt: new Date(0),
  };
}

/** The viewer's user as Pothos wants it, with the column that the directory leaves in the database. */
function toUser(user: Snapshot["user"]): User {
  return { ...user, passwordHash: "" };
}

builder.queryFields((t) => ({
  viewer: t.field({
    type: UserObject,
    nullable: true,
    description: "Who makes this request. Null: not logged in. An ended session fails with its reason.",
    resolve: (_root, _args, context) => {
      const { credentials } = context;
      if (credentials.kind === "anonymous") return null;
      return toUser(requireViewer(context).user);
    },
  }),
  roles: t.field({
    type: [RoleEnum],
    description: "The roles that users of this service can have. For SUPPORT and ADMIN.",
    resolve: (_root, _args, context) => {
      requireCapability(context, "readAnySessions");
      return context.roles.names as readonly BuiltInRole[];
    },
  }),
  user: t.prismaField({
    type: "User",
    nullable: true,
    description: "A user by id. For SUPPORT and ADMIN. Null: there is none.",
    args: { id: t.arg.id({ required: true, description: "A UUID." }) },
    resolve: (query, _root, args, context) => {
      requireCapability(context, "readAnySessions");
      if (!isUuid(args.id)) return null;
      return context.prisma.user.findUnique({ ...query, where: { id: args.id } });
    },
  }),
  users: t.prismaConnection(
    {
      type: "User",
      cursor: "id",
      maxSize: MAX_PAGE_SIZE,
      description: "All users, the newest last. For SUPPORT and ADMIN.",
      args: {
        search: t.arg.string({ description: "Part of the email or the name, in any case." }),
        role: t.arg({ type: RoleEnum, description: "Only users of this role." }),
        status: t.arg({ type: UserStatusEnum, description: "Only users of this status." }),
      },
      resolve: (query, _root, args, context) => {
        requireCapability(context, "readAnySessions");
        checkPageSize(args);
        return context.prisma.user.findMany({ ...query, where: matching(args), orderBy: { id: "asc" } });
      },
    },
    {
      name: "UserConnection",
      description: "A page of users.",
      fields: (connection) => ({
        totalCount: connection.int({
          description: TOTAL_COUNT,
          resolve: ({ args }, _args, context) => context.prisma.user.count({ where: matching(args) }),
        }),
      }),
    },
    { name: "UserEdge", description: "A user on a page." },
  ),
}));

function matching(args: {
  readonly search?: string | null | undefined;
  readonly role?: string | null | undefined;
  readonly status?: string | null | undefined;
}): Prisma.UserWhereInput {
  const where: Prisma.UserWhereInput = { role: args.role ?? { not: SERVICE_ROLE } };
  if (args.status) where.status = args.status;
  if (args.search) {
    // Prisma passes it on as a LIKE pattern; the signs that mean something there are to mean themselves.
    const contains = checkText(args.search, "search").replace(/[\\%_]/g, "\\$&");
    where.OR = [{ email: { contains, mode: "insensitive" } }, { name: { contains, mode: "insensitive" } }];
  }
  return where;
}
