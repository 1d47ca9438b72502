/** Principals: passwords, keys, tokens and roles. */
@NullMarked
package io.conexor.access;

import org.jspecify.annotations.NullMarked;
