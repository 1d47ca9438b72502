/** The face towards applications. */
@NullMarked
package io.conexor.rest;

import org.jspecify.annotations.NullMarked;
