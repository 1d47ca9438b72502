/** The audit trail and its spool. */
@NullMarked
package io.conexor.audit;

import org.jspecify.annotations.NullMarked;
