import type { User } from "../database/generated/client.ts";
import { type AdministerOutcome, administerUser } from "../users/administer.ts";
import type { Role, UserStatus } from "../users/roles.ts";
import { builder } from "./builder.ts";
import { type Context, requireCapability, requireRecentAuthentication } from "./context.ts";
import { forbidden } from "./errors.ts";
import { NotFound, NotFoundError, Validation, ValidationError } from "./results.ts";
import { RoleEnum, UserObject, UserStatusEnum } from "./user.ts";

class UserSuccess {
  readonly user: User;
  readonly revokedCount: number;
  constructor({ user, revokedCount }: Extract<AdministerOutcome, { kind: "changed" }>) {
    this.user = user;
    this.revokedCount = revokedCount;
  }
}

const UserSuccessObject = builder.objectType(UserSuccess, {
  name: "UserSuccess",
  description: "The user is changed, and their sessions were ended in the same transaction.",
  isTypeOf: (value) => value instanceof UserSuccess,
  fields: (t) => ({
    user: t.field({ type: UserObject, description: "As they are now.", resolve: (success) => success.user }),
    revokedCount: t.exposeInt("revokedCount", {
      description: "How many of their sessions ended. None if nothing changed.",
    }),
  }),
});

const ChangeUserRoleResult = builder.unionType("ChangeUserRoleResult", {
  description: "The user with the new role, or why not.",
  types: [UserSuccessObject, NotFound, Validation],
});

const SetUserStatusResult = builder.unionType("SetUserStatusResult", {
  description: "The user with the new status, or why not.",
  types: [UserSuccessObject, NotFound, Validation],
});

builder.mutationFields((t) => ({
  changeUserRole: t.field({
    type: ChangeUserRoleResult,
    description: "Gives a user another role and logs them out everywhere. For ADMIN, recently authenticated.",
    args: {
      userId: t.arg.id({ required: true, description: "Whose." }),
      role: t.arg({ type: RoleEnum, required: true, description: "The new role." }),
    },
    resolve: (_root, args, context) => administer(context, args.userId, { role: args.role }),
  }),
  setUserStatus: t.field({
    type: SetUserStatusResult,
    description:
      "Deactivates a user, which logs them out everywhere, or activates them again. For ADMIN, recently " +
      "authenticated.",
    args: {
      userId: t.arg.id({ required: true, description: "Whose." }),
      status: t.arg({ type: UserStatusEnum, required: true, description: "The new status." }),
    },
    resolve: (_root, args, context) => administer(context, args.userId, { status: args.status }),
  }),
}));

async function administer(
  context: Context,
  userId: string,
  data: { readonly role: Role } | { readonly status: UserStatus },
): Promise<UserSuccess | NotFoundError | ValidationError> {
  const { user } = requireCapability(context, "changeUsers");
  requireRecentAuthentication(context);
  // Administrators who change themselves are logged out too, and are still told that it worked.
  if (userId.toLowerCase() === user.id) context.outlivesLease = true;
  const administrator = { userId: user.id, role: user.role, ipAddress: context.origin.ipAddress };
  const outcome = await administerUser(context, administrator, userId, data);
  switch (outcome.kind) {
    case "notFound":
      return new NotFoundError("user");
    case "notCovered":
      throw forbidden();
    case "invalid":
      return new ValidationError(outcome);
    case "changed":
      return new UserSuccess(outcome);
  }
}
