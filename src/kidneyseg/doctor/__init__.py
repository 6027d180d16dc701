"""Whether a machine has what training and prediction need, and whether a device is documented to run a recipe.

``machine`` sees what is installed, ``fits.yaml`` says what fits together, ``checks`` compares the two. ``graphs`` lists
the operators of a recipe's networks and training steps, ``mindspore_docs`` and ``ascend_library`` say what MindSpore
tells of them, ``verdict`` judges.
"""
