"""What to train, as validated data: schema, reading, and the recipes that ship. No torch here.

Import from its modules: ``load`` reads and resolves, ``schema`` says what there is, ``catalog``
lists what ships (and needs no Pydantic), ``describe`` writes a recipe out.
"""
