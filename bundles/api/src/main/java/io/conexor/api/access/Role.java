package io.conexor.api.access;

/** What a person may do in an organisation. */
public enum Role {
  /** Everything, users and keys included. */
  ADMIN,
  /** Sees everything; changes tools and MCP servers; no users. */
  MEMBER
}
