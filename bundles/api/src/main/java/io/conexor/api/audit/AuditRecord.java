package io.conexor.api.audit;

import io.conexor.api.catalog.OrgId;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * One thing that happened. Null = does not apply. Never holds result rows, parameter values,
 * statements' literals or secrets.
 *
 * @param org null before anybody was recognised
 * @param action {@code noun.verb}: {@code query.execute}, {@code query.refuse}, {@code
 *     auth.refuse}, {@code session.create}, {@code key.create}, ...
 * @param outcome how it ended
 * @param principal {@link io.conexor.api.access.Principal#subject()}
 * @param remoteAddress the client's address
 * @param tool the tool or REST operation
 * @param target what was acted upon: {@code mcp-server:<id>}, {@code key:<id>}, ...
 * @param statementHash SHA-256 of the statement's text with its literals, first 16 hex digits
 * @param elapsedMicros from the request's arrival to its answer
 * @param error the error's stable code and message
 */
public record AuditRecord(
    AuditId id,
    Instant at,
    @Nullable OrgId org,
    String action,
    Outcome outcome,
    @Nullable String principal,
    @Nullable String remoteAddress,
    @Nullable String requestId,
    String node,
    @Nullable String mcpServer,
    @Nullable String tool,
    @Nullable String source,
    @Nullable String agent,
    @Nullable String target,
    @Nullable String statementHash,
    int parameterCount,
    long rowCount,
    boolean truncated,
    long elapsedMicros,
    @Nullable String error) {

  /** How it ended. */
  public enum Outcome {
    OK,
    REFUSED,
    FAILED,
    CANCELLED,
    /** It may have happened. */
    UNKNOWN
  }
}
