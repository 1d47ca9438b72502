/** Resumable connections in Redis; keys and commands are in the README of this bundle. */
@NullMarked
package io.conexor.resume.redis;

import org.jspecify.annotations.NullMarked;
