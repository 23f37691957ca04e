/** The four globals that a crowd provider's `/wrap_crowd_source.js` defines, and the parameters of its addresses. */
declare function getWorkerName(): string | null;
declare function getAssignmentId(): string | null;
declare function getAgentRegistration(): object;
declare function handleSubmitToProvider(data: unknown): void;
declare var getProviderURLParams: Record<string, string> | (() => Record<string, string>) | undefined;
