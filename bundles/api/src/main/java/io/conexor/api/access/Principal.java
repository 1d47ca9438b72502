package io.conexor.api.access;

import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.session.SessionId;

/** Who is asking, as established by {@link Access#authenticate}. Holds no secret. */
public sealed interface Principal {

  OrgId org();

  /** For logs and the audit: {@code user:<id>}, {@code key:<id>} or {@code agent:<id>}. */
  String subject();

  /** A person with a session. */
  record User(OrgId org, UserId id, String email, Role role, SessionId session)
      implements Principal {
    @Override
    public String subject() {
      return "user:" + id;
    }
  }

  /** The key of one MCP server ({@code mcp_...}): its tools, and REST queries on its sources. */
  record ServerKey(OrgId org, KeyId key, String name, McpServerId server) implements Principal {
    @Override
    public String subject() {
      return "key:" + key;
    }
  }

  /** The key of one agent ({@code pk_...}): attaching links, nothing else. */
  record AgentKey(OrgId org, KeyId key, AgentId agent, String agentName) implements Principal {
    @Override
    public String subject() {
      return "agent:" + agent;
    }
  }

  /**
   * An administrator's token ({@code adm_...}) for scripts: what an {@link Role#ADMIN} may do
   * through REST.
   */
  record AdminToken(OrgId org, KeyId key, String name) implements Principal {
    @Override
    public String subject() {
      return "key:" + key;
    }
  }
}
